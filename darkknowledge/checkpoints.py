"""Checkpoints of a training, and models: written whole, checked, read without running code."""

import hashlib
import io
import json
import math
import pickletools
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from darkknowledge.errors import DataError, shown
from darkknowledge.failures import problem_of
from darkknowledge.files import atomic_write, reading
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.options import NetworkOptions
from darkknowledge.networks.registry import build_network
from darkknowledge.zipped import open_sealed, refusing, sealed

MAGIC = b"DKCKPT\r\n"
MODEL_FORMAT = 1
WHAT = "a readable model"
# what the pickle of a dictionary of tensors consists of and names; all else is refused unloaded
_OPCODES = set(
    "PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE "
    "EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL REDUCE BUILD BINPERSID".split()
)
_NAMED = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch [A-Za-z0-9]+Storage"
)


def state_key(identity: Mapping[str, Any]) -> str:
    """Return the name of a training's checkpoint: a hash of all that determines the result."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _serialise(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def save_checkpoint(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write the state of a training with its checksum and its name.

    Parameters
    ----------
    path : path
    state : mapping
        Tensors, numbers, strings, lists and dictionaries.
    """
    payload = _serialise({"name": Path(path).name, "state": dict(state)})
    with atomic_write(path, "wb") as file:
        file.write(MAGIC + hashlib.sha256(payload).digest() + payload)


def load_checkpoint(path: str | Path) -> dict[str, Any] | None:
    """Read the state of a training; None if there is none.

    Raises
    ------
    DataError
        If the file is damaged, or was written under another name, for another training.
    """
    if not Path(path).exists():
        return None
    with reading(path):
        content = Path(path).read_bytes()
    payload = content[40:]
    if content[:8] != MAGIC or hashlib.sha256(payload).digest() != content[8:40]:
        raise DataError(f"{path}: the checkpoint is damaged; delete it")
    with refusing(path, "a checkpoint"):
        found = _load(payload)
        if found["name"] != Path(path).name:
            raise DataError(f"{path}: is of another training, {shown(found['name'])}; delete it")
        return dict(found["state"])


def _load(content: bytes) -> Any:
    """Read what `torch.save` wrote, and nothing that takes more memory than its file.

    Raises
    ------
    ValueError, zipfile.BadZipFile
        If it is anything else.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for described in archive.infolist():
            if described.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{described.filename} is packed")
        sizes = [max(d.file_size, d.compress_size) for d in archive.infolist()]
        if sum(sizes) > len(content):
            raise ValueError("members claim more than the file has")
        for name in archive.namelist():
            if name.endswith(".pkl"):
                for code, argument, _ in pickletools.genops(archive.read(name)):
                    if code.name not in _OPCODES:
                        raise ValueError(f"it has the opcode {code.name}")
                    if code.name == "GLOBAL" and not _NAMED.fullmatch(argument):
                        raise ValueError(f"it names {shown(argument)}")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # of many kinds, some with the advice to run code
        raise ValueError(f"not what torch.save writes: {type(error).__name__}") from error


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
        file.write(sealed(payload))


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
    with open_sealed(path, WHAT), refusing(path, WHAT):
        content = _load(Path(path).read_bytes())
        if not isinstance(content, dict) or content.get("format") != MODEL_FORMAT:
            raise ValueError("not a model of this version")
        network = _rebuilt(content)
        log_priors, described = content["log_priors"], dict(content["meta"])
        if log_priors.shape != (network.num_pdfs,) or not log_priors.isfinite().all():
            raise ValueError(f"priors of shape {tuple(log_priors.shape)}, or no numbers")
    return network.eval(), log_priors, {**described, "options": content["options"]}


def _rebuilt(content: Mapping[str, Any]) -> AcousticNetwork:
    """Build the network that a model's options and weights both describe."""
    weights = content["weights"]
    given = content["options"], content["input_dim"], content["num_pdfs"]
    numbers = sum(math.prod(weight.shape) for weight in weights.values())
    if not all(weight.is_contiguous() and weight.isfinite().all() for weight in weights.values()):
        raise ValueError("weights that are no numbers, or share them")
    described = TypeAdapter(NetworkOptions).validate_python(dict(content["options"]))
    sizes = described.model_dump(exclude={"training"}).values()
    if max(*(size for size in sizes if type(size) is int), *given[1:]) > numbers:
        raise ValueError(f"{numbers} weights are too few for its options")
    with torch.device("meta"):
        expected = build_network(*given, 0).state_dict()
    if {name: w.shape for name, w in expected.items()} != {n: w.shape for n, w in weights.items()}:
        raise ValueError("weights of another network than the options describe")
    network = build_network(*given, 0)
    network.load_state_dict(weights)
    return network


def save_epochs(path: str | Path, epochs: Iterable[Mapping[str, Tensor]]) -> None:
    """Write the trained weights by name, epoch by epoch, that a training went through."""
    payload = _serialise({"format": MODEL_FORMAT, "epochs": [dict(weights) for weights in epochs]})
    with atomic_write(path, "wb") as file:
        file.write(sealed(payload))


def load_epochs(path: str | Path) -> list[dict[str, Tensor]]:
    """Read what `save_epochs` wrote.

    Raises
    ------
    DataError
        If the file is absent or damaged, or if the training diverged.
    """
    if problem := problem_of(path):
        raise DataError(f"{path}: there are no weights: {problem}")
    what = "the weights of a training"
    with open_sealed(path, what), refusing(path, what):
        content = _load(Path(path).read_bytes())
        if not isinstance(content, dict) or content.get("format") != MODEL_FORMAT:
            raise ValueError("not the weights of this version")
        return content["epochs"]
