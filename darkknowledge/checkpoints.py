"""Checkpoints of a training, and models: written whole, checked, read without running code."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darkknowledge.errors import DataError
from darkknowledge.failures import problem_of
from darkknowledge.files import atomic_write
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.registry import build_network

MAGIC = b"DKCKPT\r\n"
MODEL_FORMAT = 1


def state_key(identity: Mapping[str, Any]) -> str:
    """Return the name of a training's checkpoint: a hash of all that determines the result."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _serialise(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def save_checkpoint(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write the state of a training with its checksum.

    Parameters
    ----------
    path : path
    state : mapping
        Tensors, numbers, strings, lists and dictionaries.
    """
    payload = _serialise(dict(state))
    with atomic_write(path, "wb") as file:
        file.write(MAGIC + hashlib.sha256(payload).digest() + payload)


def load_checkpoint(path: str | Path) -> dict[str, Any] | None:
    """Read the state of a training; None if there is none.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    payload = content[40:]
    if content[:8] != MAGIC or hashlib.sha256(payload).digest() != content[8:40]:
        raise DataError(f"{path}: the checkpoint is damaged; delete it")
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)


def save_model(
    path: str | Path,
    network: AcousticNetwork,
    options: Mapping[str, Any],
    log_priors: Tensor,
    meta: Mapping[str, Any],
) -> None:
    """Write a trained network; the bytes depend on the arguments alone.

    Parameters
    ----------
    path : path
    network : AcousticNetwork
    options : mapping
        What it was built from.
    log_priors : Tensor
        (pdfs,) natural logarithms of the pdfs' shares of the training alignment.
    meta : mapping
        Anything in plain types that a reader of the model should know.
    """
    weights = {name: value.cpu().clone() for name, value in network.state_dict().items()}
    payload = _serialise(
        {
            "format": MODEL_FORMAT,
            "options": dict(options),
            "input_dim": network.input_dim,
            "num_pdfs": network.num_pdfs,
            "weights": weights,
            "log_priors": log_priors.cpu().clone(),
            "meta": dict(meta),
        }
    )
    with atomic_write(path, "wb") as file:
        file.write(payload)


def load_network(path: str | Path) -> tuple[AcousticNetwork, Tensor, dict[str, Any]]:
    """Read a trained network without running code from the file.

    Parameters
    ----------
    path : path

    Returns
    -------
    network : AcousticNetwork
        In evaluation mode, on the CPU.
    log_priors : Tensor
        (pdfs,) to be subtracted from log posteriors.
    meta : dict
        As saved, with ``options`` among it.

    Raises
    ------
    DataError
        If the file is absent, damaged or not a model, or if its training diverged.
    """
    if problem := problem_of(path):
        raise DataError(f"{path}: there is no model: {problem}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != MODEL_FORMAT:
            raise ValueError("not a model of this version")
        network = build_network(content["options"], content["input_dim"], content["num_pdfs"], 0)
        network.load_state_dict(content["weights"])
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run snakemake to make it") from None
    except Exception as error:
        raise DataError(
            f"{path}: not a readable model ({error}); delete it and run snakemake"
        ) from error
    meta = {**content["meta"], "options": content["options"]}
    return network.eval(), content["log_priors"], meta


def save_epochs(path: str | Path, epochs: Iterable[Mapping[str, Tensor]]) -> None:
    """Write the trained weights by name, epoch by epoch, that a training went through."""
    payload = _serialise({"format": MODEL_FORMAT, "epochs": [dict(weights) for weights in epochs]})
    with atomic_write(path, "wb") as file:
        file.write(payload)


def load_epochs(path: str | Path) -> list[dict[str, Tensor]]:
    """Read what `save_epochs` wrote.

    Raises
    ------
    DataError
        If the file is absent or damaged, or if the training diverged.
    """
    if problem := problem_of(path):
        raise DataError(f"{path}: there are no weights: {problem}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != MODEL_FORMAT:
            raise ValueError("not the weights of this version")
        return content["epochs"]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run snakemake to make it") from None
    except Exception as error:
        raise DataError(
            f"{path}: not the weights of a training ({error}); delete it and run snakemake"
        ) from error
