"""The start of every script of a rule."""

from pathlib import Path
from typing import Any

from darkknowledge.locks import claim_job
from darkknowledge.memory import watch_memory
from darkknowledge.progress import logger, start_logging


def start_job(job: Any) -> None:
    """Log to the rule's file, and how near the job comes to the memory that it asked for.

    Where a killed Snakemake left the same job running, this one waits until that has ended.

    Parameters
    ----------
    job : object
        The ``snakemake`` that a script is given.
    """
    alone = claim_job(Path(job.log[0]))
    start_logging(job.log[0])
    if not alone:
        logger.info("waited for the same job of a Snakemake that was killed")
    asked = job.resources.get("mem_mb")
    if asked:
        watch_memory(job.rule, asked)
