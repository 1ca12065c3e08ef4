"""Layer 0. Loading the compiled core with the HiGHS and BLAS libraries of the wheels it was built against.

The core carries a search path to the wheels beside this package, so normally there is nothing to do here. Only when
that fails (packages spread over several folders, a broken or absent wheel) are the libraries opened by path first.
"""

from __future__ import annotations

import ctypes
import importlib
from importlib.util import find_spec
from pathlib import Path

# package -> the libraries inside it, by pattern
_LIBRARIES = {"highspy": "libhighs.*1*", "scipy_openblas32": "lib/libscipy_openblas*"}


def load_core() -> None:
    """Import ``pyregions._core``, or raise an ImportError that says which wheel to install.

    Raises
    ------
    ImportError
        When a library is absent, or HiGHS is of another version than the one the core was built against.
    """
    try:
        core = importlib.import_module("pyregions._core")
    except ModuleNotFoundError as absent:
        raise ImportError(
            f"there is no compiled core in {Path(__file__).parent}: this looks like the source tree. Install pyregions "
            "(pip install .) and start Python in another folder, or make the tree itself work with pip install -e ."
        ) from absent
    except ImportError as first:
        _open_libraries(first)
        core = importlib.import_module("pyregions._core")
    check_versions(core.highs_built_with, core.highs_version())


def check_versions(built_with: str, loaded: str) -> None:
    """Refuse a HiGHS other than the one whose headers the core was compiled with."""
    if built_with != loaded:
        raise ImportError(
            f"pyregions was built against HiGHS {built_with} but meets version {loaded}; "
            f"run: pip install highspy=={built_with}"
        )


def _open_libraries(cause: ImportError) -> None:
    """Open the wheels' libraries by path; a library opened once satisfies later requests by its name."""
    for package, pattern in _LIBRARIES.items():
        spec = find_spec(package)
        folders = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
        files = sorted(file for folder in folders for file in folder.glob(pattern))
        if not files:
            wheel = package.replace("_", "-")
            raise ImportError(
                f"the compiled core of pyregions could not be loaded ({cause}); the wheel {wheel} is absent or has no "
                f"library: reinstall pyregions, or run pip install {wheel} in the version pyregions asks for"
            ) from cause
        ctypes.CDLL(str(files[0]), mode=ctypes.RTLD_GLOBAL)
