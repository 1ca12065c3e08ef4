// Layer 4. The enumeration in one to four dimensions.
#include "cells_run_impl.h"

namespace pyregions {

template Enumeration enumerate_in<1>(const EnumerationRun&);
template Enumeration enumerate_in<2>(const EnumerationRun&);
template Enumeration enumerate_in<3>(const EnumerationRun&);
template Enumeration enumerate_in<4>(const EnumerationRun&);

}  // namespace pyregions
