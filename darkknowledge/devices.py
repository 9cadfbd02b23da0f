"""The device of a job: a GPU of its own where it asked for one and there is one, else the CPU."""

import contextlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from darkknowledge.locks import hold
from darkknowledge.progress import logger

LEASES = Path(tempfile.gettempdir()) / "darkknowledge-gpus"


def asks_for_gpu(resources: Mapping) -> bool:
    """Tell whether a job asks for a GPU, by ``gpu`` or, where a site needs it, by ``gres``."""
    return bool(resources.get("gpu")) or "gpu" in (resources.get("gres") or "")


def take_device(resources: Mapping) -> torch.device:
    """Return the device of this process.

    Slurm gives a job its devices. Without it, the process waits for a device that no other job
    on this machine holds, of whatever study or clone, and holds it until it ends: Snakemake
    counts GPUs but does not say which one a job has.

    Parameters
    ----------
    resources : mapping
        Of the rule. A job that asks for no GPU gets none, also where there is one.

    Returns
    -------
    torch.device
    """
    # counted by the driver: after CUDA itself is asked, no process can be forked that uses it
    count = torch.cuda.device_count() if asks_for_gpu(resources) else 0
    if not count:
        return torch.device("cpu")
    if "SLURM_JOB_ID" in os.environ and os.environ.get("CUDA_VISIBLE_DEVICES"):
        return torch.device("cuda", 0)
    return torch.device("cuda", lease(visible_devices(count)))


def visible_devices(count: int) -> list[str]:
    """Return the names on this machine of the GPUs that torch counts from 0.

    As CUDA_VISIBLE_DEVICES has them, or their numbers.
    """
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return names[:count] if names != [""] else [str(number) for number in range(count)]


def lease(names: Sequence[str], folder: Path = LEASES, pause: float = 1.0) -> int:
    """Wait until one of some things is free on this machine and hold it while the process lives.

    Parameters
    ----------
    names : sequence of str
        Names that all processes know the things by.
    folder : path
        Of the lock files.
    pause : float
        Seconds between two looks.

    Returns
    -------
    int
        The place of the thing among the names.
    """
    with contextlib.suppress(PermissionError):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)
    waited = False
    while True:
        for place, name in enumerate(names):
            # locks need no right to write, so that one user's file serves the others
            number = os.open(folder / f"{name}.lock", os.O_RDONLY | os.O_CREAT, 0o644)
            file = open(number)  # noqa: SIM115 - held open on purpose
            if hold(file):
                return place
            file.close()
        if not waited:
            logger.info("waiting for a GPU: other jobs of this machine hold all %d", len(names))
            waited = True
        time.sleep(pause)
