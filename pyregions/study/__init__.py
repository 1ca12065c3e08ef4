"""Layer 4. The study of linear regions on real images, as a function; `pyregions study` is the same as a command.

Torch and the other components of the extra "study" are imported when a study starts, not here.
"""

from .config import KINDS, ConfigError, RunKey, StudyConfig
from .data import DataError, Dataset, load
from .runner import MissingExtraError, Progress, StudyResult, require_extras, run

__all__ = [
    "KINDS",
    "ConfigError",
    "DataError",
    "Dataset",
    "MissingExtraError",
    "Progress",
    "RunKey",
    "StudyConfig",
    "StudyResult",
    "load",
    "require_extras",
    "run",
]
