# Imported targets for what the core stands on, found in the wheels of the current Python:
#   pyregions::highs   HiGHS's C API: headers of highsbox, library of highspy (or a system HiGHS)
#   pyregions::blas    BLAS and LAPACK of scipy-openblas32, symbols prefixed scipy_
#   pyregions::boost   Boost's headers (multiprecision appears in our own headers)
# Used by our own build and, installed beside the package configuration, by every consumer. Includes are SYSTEM because
# the targets are imported. Sets PYREGIONS_WHEELS_PROBLEM to a sentence when something is absent, else to "".
# Requires: Python_EXECUTABLE, PYREGIONS_SYSTEM_HIGHS.

set(PYREGIONS_WHEELS_PROBLEM "")
execute_process(
  COMMAND "${Python_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/find_wheels.py"
  OUTPUT_VARIABLE _pyregions_lines RESULT_VARIABLE _pyregions_status OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT _pyregions_status EQUAL 0)
  set(PYREGIONS_WHEELS_PROBLEM "could not run ${Python_EXECUTABLE} to look for the wheels.")
endif()

set(_pyregions_missing "")
string(REPLACE "\n" ";" _pyregions_lines "${_pyregions_lines}")
foreach(_pyregions_line IN LISTS _pyregions_lines)
  string(REGEX MATCH "^([a-z0-9_]+)=(.*)$" _ "${_pyregions_line}")
  if(CMAKE_MATCH_1 STREQUAL "missing")
    list(APPEND _pyregions_missing "${CMAKE_MATCH_2}")
  else()
    set(_pyregions_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
  endif()
endforeach()

# What nobody asked for may be absent.
if(PYREGIONS_SYSTEM_HIGHS)
  list(REMOVE_ITEM _pyregions_missing highsbox highspy)
endif()
if(NOT PYREGIONS_PYTHON)
  list(REMOVE_ITEM _pyregions_missing pybind11)
endif()
if(_pyregions_missing AND NOT PYREGIONS_WHEELS_PROBLEM)
  list(JOIN _pyregions_missing " " _pyregions_missing)
  set(PYREGIONS_WHEELS_PROBLEM
      "the Python ${Python_EXECUTABLE} lacks what the core is built against. Please run\n\
    ${Python_EXECUTABLE} -m pip install -c constraints.txt ${_pyregions_missing}\n\
(constraints.txt of pyregions holds the tested versions), or choose another Python with -DPython_EXECUTABLE=...")
endif()

if(NOT PYREGIONS_WHEELS_PROBLEM)
  if(PYREGIONS_SYSTEM_HIGHS)
    find_path(PYREGIONS_HIGHS_INCLUDE interfaces/highs_c_api.h PATH_SUFFIXES highs)
    find_library(PYREGIONS_HIGHS_LIBRARY highs)
    if(NOT PYREGIONS_HIGHS_INCLUDE OR NOT PYREGIONS_HIGHS_LIBRARY)
      set(PYREGIONS_WHEELS_PROBLEM "PYREGIONS_SYSTEM_HIGHS is on but no system HiGHS was found; set \
PYREGIONS_HIGHS_INCLUDE (the folder with interfaces/highs_c_api.h) and PYREGIONS_HIGHS_LIBRARY.")
    endif()
  else()
    set(PYREGIONS_HIGHS_INCLUDE "${_pyregions_highs_include}")
    file(GLOB PYREGIONS_HIGHS_LIBRARY "${_pyregions_highs_lib}/libhighs.so.1" "${_pyregions_highs_lib}/libhighs.1.dylib")
    if(NOT PYREGIONS_HIGHS_LIBRARY)
      set(PYREGIONS_WHEELS_PROBLEM "the highspy wheel in ${_pyregions_highs_lib} ships no libhighs of version 1.")
    endif()
  endif()
  find_library(PYREGIONS_BLAS_LIBRARY scipy_openblas PATHS "${_pyregions_blas_lib}" NO_DEFAULT_PATH NO_CACHE)
  if(NOT PYREGIONS_BLAS_LIBRARY AND NOT PYREGIONS_WHEELS_PROBLEM)
    set(PYREGIONS_WHEELS_PROBLEM "the scipy-openblas32 wheel has no library in ${_pyregions_blas_lib}.")
  endif()
endif()

if(NOT PYREGIONS_WHEELS_PROBLEM)
  # The version of the headers; the module compares it with the library it meets at run time.
  file(STRINGS "${PYREGIONS_HIGHS_INCLUDE}/HConfig.h" _pyregions_lines REGEX "HIGHS_VERSION_(MAJOR|MINOR|PATCH)")
  string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" PYREGIONS_HIGHS_VERSION
                       "${_pyregions_lines}")
  if(NOT TARGET pyregions::highs)
    add_library(pyregions::highs UNKNOWN IMPORTED)
    set_target_properties(pyregions::highs PROPERTIES IMPORTED_LOCATION "${PYREGIONS_HIGHS_LIBRARY}"
                          INTERFACE_INCLUDE_DIRECTORIES "${PYREGIONS_HIGHS_INCLUDE}")
    add_library(pyregions::blas UNKNOWN IMPORTED)
    set_target_properties(pyregions::blas PROPERTIES IMPORTED_LOCATION "${PYREGIONS_BLAS_LIBRARY}"
                          INTERFACE_INCLUDE_DIRECTORIES "${_pyregions_blas_include}")
    add_library(pyregions::boost INTERFACE IMPORTED)
    set_target_properties(pyregions::boost PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_pyregions_boost_include}")
  endif()
  set(PYREGIONS_PYBIND11_DIR "${_pyregions_pybind11_dir}")
endif()
