// Layer 4. The enumeration in five to eight dimensions.
#include "cells_run_impl.h"

namespace pyregions {

template Enumeration enumerate_in<5>(const EnumerationRun&);
template Enumeration enumerate_in<6>(const EnumerationRun&);
template Enumeration enumerate_in<7>(const EnumerationRun&);
template Enumeration enumerate_in<8>(const EnumerationRun&);

}  // namespace pyregions
