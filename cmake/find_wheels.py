"""Print where the wheels that pyregions is built against live, one `key=folder` per line, for PyregionsWheels.cmake.

Nothing is imported, so this works wherever the packages are installed. A wheel that is absent prints `missing=name`.
"""

from importlib.util import find_spec
from pathlib import Path

# wheel -> (package, {key: path inside the package})
WHEELS = {
    "highsbox": ("highsbox", {"highs_include": "highs_dist/include/highs"}),
    "highspy": ("highspy", {"highs_lib": "."}),
    "scipy-openblas32": ("scipy_openblas32", {"blas_include": "include", "blas_lib": "lib"}),
    "boost-headers": ("boost_headers", {"boost_include": "include"}),
    "pybind11": ("pybind11", {"pybind11_dir": "share/cmake/pybind11"}),
}

for wheel, (package, folders) in WHEELS.items():
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        print(f"missing={wheel}")
        continue
    root = Path(spec.submodule_search_locations[0])
    for key, inside in folders.items():
        print(f"{key}={(root / inside).resolve().as_posix()}")
