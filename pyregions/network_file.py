"""A network in an .npz file: weights exactly, no pickle."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .exact import AffineNode, ExactNetwork, HingeNode

if TYPE_CHECKING:
    from .network import Network

FORMAT = 1


def contents(network: Network | ExactNetwork) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The kind and sources of every node, and the arrays by name."""
    arrays: dict[str, Any] = {}
    kinds: list[dict[str, Any]] = []
    for k, node in enumerate(network.nodes):
        if isinstance(node, HingeNode):
            kinds.append({"hinge": node.source})
            arrays[f"low{k}"], arrays[f"high{k}"] = node.low, node.high
        else:
            kinds.append({"affine": [source for source, _ in node.terms]})
            arrays[f"bias{k}"] = node.bias
            arrays.update({f"weight{k}_{t}": matrix for t, (_, matrix) in enumerate(node.terms)})
    return kinds, arrays


def network_arrays(network: Network) -> dict[str, Any]:
    """A network as named arrays, for a file of its own or a part of another."""
    kinds, arrays = contents(network)
    about = {"format": FORMAT, "inputs": network.inputs, "input_shape": network.input_shape, "nodes": kinds}
    return {"about": np.array(json.dumps(about)), **arrays}


def network_of_arrays(arrays: Mapping[str, Any]) -> tuple[int, list[AffineNode | HingeNode], tuple[int, ...]]:
    """The arguments of :class:`Network` from what :func:`network_arrays` made; KeyError where something is missing."""
    about = json.loads(str(arrays["about"]))
    if about["format"] != FORMAT:
        raise ValueError(f"the network has format {about['format']}, this version reads {FORMAT}")
    nodes: list[AffineNode | HingeNode] = []
    for k, kind in enumerate(about["nodes"]):
        if "hinge" in kind:
            nodes.append(HingeNode(kind["hinge"], arrays[f"low{k}"], arrays[f"high{k}"]))
        else:
            terms = tuple((source, arrays[f"weight{k}_{t}"]) for t, source in enumerate(kind["affine"]))
            nodes.append(AffineNode(terms, arrays[f"bias{k}"]))
    return about["inputs"], nodes, tuple(about["input_shape"])


def write_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Writes the nodes of a network."""
    with open(path, "wb") as file:
        np.savez_compressed(file, **network_arrays(network))


def read_network(path: str | os.PathLike[str]) -> tuple[int, list[AffineNode | HingeNode], tuple[int, ...]]:
    """The arguments of :class:`Network` from a file; ValueError if it holds none."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return network_of_arrays(file)
    except (KeyError, AttributeError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} does not hold a pyregions network ({error})") from None
