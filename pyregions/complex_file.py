"""Files of a RegionComplex: one .npz archive with its network and domain, and a table."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .network_file import network_arrays, network_of_arrays
from .polyhedron import Box, Domain, Polyhedron
from .store import read_arrays, write_arrays

if TYPE_CHECKING:
    from .complex import RegionComplex

FORMAT = 1


def write_complex(complex: RegionComplex, path: str | os.PathLike[str]) -> None:
    """See :meth:`RegionComplex.save`."""
    rows = complex._rows
    kind = "all" if complex.domain is None else ("box" if isinstance(complex.domain, Box) else "polyhedron")
    arrays: dict[str, Any] = {
        "complex_format": np.array(FORMAT),
        "words": complex._words,
        "witnesses": complex.witnesses,
        "bounded": complex.bounded,
        "open": complex.open,
        "resumed": np.array(complex._resumed),
        "domain_kind": np.array(kind),
        "domain_lower": rows.lower,
        "domain_upper": rows.upper,
        "domain_A": rows.A,
        "domain_b": rows.b,
    }
    arrays.update({f"network_{name}": array for name, array in network_arrays(complex.network).items()})
    write_arrays(Path(path), arrays)


def read_complex(path: str | os.PathLike[str]) -> RegionComplex:
    """See :meth:`RegionComplex.load`."""
    try:
        arrays = read_arrays(Path(path))
    except (AttributeError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} is not a complex ({error})") from None
    if "complex_format" not in arrays or int(arrays["complex_format"]) != FORMAT:
        raise ValueError(f"{str(path)!r} is not a complex that this version wrote")
    try:
        return _complex_of(arrays)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from None


def _complex_of(arrays: dict[str, Any]) -> RegionComplex:
    from .complex import RegionComplex
    from .network import Network

    prefix = "network_"
    network = Network(*network_of_arrays({k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}))
    count = len(arrays["words"])
    wanted = {
        "words": ((count, (network.units + 63) // 64), np.uint64),
        "witnesses": ((count, network.inputs), np.float64),
        "bounded": ((count,), np.bool_),
        "open": ((len(arrays["open"]), network.units), np.int8),
    }
    for name, (shape, dtype) in wanted.items():
        if arrays[name].shape != shape or arrays[name].dtype != dtype:
            raise ValueError(f"{name} is {arrays[name].dtype} {arrays[name].shape}, not {np.dtype(dtype)} {shape}")
    out = RegionComplex(network, _domain(arrays), *(arrays[name] for name in wanted))
    out._resumed = bool(arrays["resumed"])
    return out


def _domain(arrays: dict[str, Any]) -> Domain:
    kind = str(arrays["domain_kind"])
    if kind == "all":
        return None
    box = Box(arrays["domain_lower"], arrays["domain_upper"])
    return box if kind == "box" else Polyhedron(arrays["domain_A"], arrays["domain_b"], box)


def dataframe(complex: RegionComplex) -> Any:
    """See :meth:`RegionComplex.to_dataframe`."""
    import pandas

    structure = complex.structure
    columns: dict[str, Any] = {"pattern": ["".join(map(str, row)) for row in complex.patterns.tolist()]}
    for k in range(complex.network.inputs):
        columns[f"witness_{k}"] = complex.witnesses[:, k]
    columns["bounded"] = complex.bounded
    columns["facets"] = np.diff(structure.facet_offsets)
    columns["neighbors"] = np.bincount(
        structure.facet_region[structure.facet_neighbor >= 0], minlength=len(complex)
    )
    columns["vertices"] = np.add.reduceat(
        np.append(~structure.far, False).astype(np.int64), structure.vertex_offsets[:-1]
    )
    columns["volume"] = structure.volumes
    columns["volume_error"] = structure.volume_errors
    return pandas.DataFrame(columns)
