"""The networks of a study: perceptrons trained by Adam on one thread, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import RunKey, StudyConfig
from .data import Dataset


def build(kind: str, inputs: int, classes: int, width: int, depth: int, dropout: float) -> Any:
    """Linear, [BatchNorm1d,] ReLU[, Dropout] `depth` times, then Linear: an untrained torch module."""
    import torch

    layers: list[Any] = []
    for k in range(depth):
        layers.append(torch.nn.Linear(inputs if k == 0 else width, width))
        if kind == "batchnorm":
            layers.append(torch.nn.BatchNorm1d(width))
        layers.append(torch.nn.ReLU())
        if kind == "dropout":
            layers.append(torch.nn.Dropout(dropout))
    layers.append(torch.nn.Linear(width, classes))
    return torch.nn.Sequential(*layers)


def untrained(key: RunKey, config: StudyConfig, dataset: Dataset) -> Any:
    """The module of a network of the study before training."""
    width = config.sizes(dataset.inputs).width
    return build(key.kind, dataset.inputs, dataset.classes, width, config.depth, config.dropout)


def train(key: RunKey, config: StudyConfig, dataset: Dataset) -> Any:
    """Train one network; returns the torch module in evaluation mode.

    Torch's global generator and number of threads are put back as they were.
    """
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        # One thread: the sums of a product, and so the weights, do not depend on the number of CPUs.
        torch.set_num_threads(1)
        try:
            torch.manual_seed(key.seed)
            return _train(key, config, dataset)
        finally:
            torch.set_num_threads(threads)


def _train(key: RunKey, config: StudyConfig, dataset: Dataset) -> Any:
    import torch

    model = untrained(key, config, dataset)
    optimizer = torch.optim.Adam(model.parameters(), lr=key.learning_rate, fused=True)
    images, labels = torch.from_numpy(dataset.train_x), torch.from_numpy(dataset.train_y)
    model.train()
    for _ in range(config.epochs_for(len(labels))):
        for batch in torch.split(torch.randperm(len(labels)), config.batch_size):
            # A batch of one has no variance to normalise by.
            if len(batch) < 2:
                continue
            optimizer.zero_grad(set_to_none=True)
            loss: Any = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
    return model.eval()


def state_arrays(model: Any) -> dict[str, NDArray[Any]]:
    """The module's weights and running statistics as arrays, by their names in the state dictionary."""
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def restore(key: RunKey, config: StudyConfig, dataset: Dataset, arrays: dict[str, NDArray[Any]]) -> Any:
    """The module that `state_arrays` came from."""
    import torch

    model = untrained(key, config, dataset)
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
    return model.eval()


def accuracy(model: Any, images: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of images whose largest output is their class."""
    import torch

    with torch.no_grad():
        predicted = model(torch.from_numpy(images)).argmax(dim=1).numpy()
    return float(np.mean(predicted == labels))
