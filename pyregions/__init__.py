"""pyregions: exact polyhedral geometry of piecewise-linear neural networks.

The weights are taken exactly, every decision is exact about the function they define, and every number handed out is a
double with a stated bound.

>>> import numpy as np
>>> import pyregions as pr
>>> rng = np.random.default_rng(0)
>>> sizes = [3, 8, 8, 4]
>>> layers = [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])]
>>> net = pr.Network.from_arrays(layers)         # or pr.from_torch(model, input_shape=(3,))
>>> x = np.array([0.25, -0.5, 0.75])
>>> r = net.region(x, domain=pr.Box(-1, 1))      # the region around x, within the box
>>> r.contains(x), bool(np.allclose(r.affine_map(x), net(x)))
(True, True)
>>> low, high = r.chebyshev.radius_bounds        # the largest inscribed ball, with proof
>>> 0 < low <= r.chebyshev.radius <= high, r.is_bounded
(True, True)
>>> walls = [f for f in r.facets if not f.on_domain]
>>> len(r.neighbors()) == len(walls)             # one region lies across each wall
True
>>> report = r.verify()                          # replayed in Python integers, no solver
>>> report.counts["facets"] == len(r.facets)
True
"""

from ._libraries import load_core

load_core()

from .all_regions import count_regions, enumerate_regions, search_regions  # noqa: E402
from .cell import NoInterior  # noqa: E402
from .complex import RegionComplex  # noqa: E402
from .errors import (  # noqa: E402
    EmptyDomainError,
    Label,
    MismatchError,
    OnBoundaryError,
    OutsideDomainError,
    PyregionsError,
    UndecidedError,
    UnsupportedLayerError,
    VerificationError,
)
from .exact import AffineNode, HingeNode  # noqa: E402
from .from_torch import from_torch  # noqa: E402
from .nearby import NearestRows, nearest_rows, patterns, rows_of, rows_within, sign_changes  # noqa: E402
from .network import Network  # noqa: E402
from .packed_patterns import Patterns  # noqa: E402
from .picture import plot_interactive, plot_regions  # noqa: E402
from .picture_plane import plot_plane  # noqa: E402
from .polyhedron import Box, Polyhedron  # noqa: E402
from .region import Region  # noqa: E402
from .replay import Verification  # noqa: E402
from .slices import line, lines, plane, plane_through, polyline  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "AffineNode",
    "Box",
    "EmptyDomainError",
    "HingeNode",
    "Label",
    "MismatchError",
    "NearestRows",
    "Network",
    "NoInterior",
    "OnBoundaryError",
    "OutsideDomainError",
    "Patterns",
    "Polyhedron",
    "PyregionsError",
    "Region",
    "RegionComplex",
    "UndecidedError",
    "UnsupportedLayerError",
    "Verification",
    "VerificationError",
    "count_regions",
    "enumerate_regions",
    "from_torch",
    "line",
    "lines",
    "nearest_rows",
    "patterns",
    "plane",
    "plane_through",
    "plot_interactive",
    "plot_plane",
    "plot_regions",
    "polyline",
    "rows_of",
    "rows_within",
    "search_regions",
    "sign_changes",
]
