"""The start of every script of a rule."""

from typing import Any

from darkknowledge.memory import watch_memory
from darkknowledge.progress import start_logging


def start_job(job: Any) -> None:
    """Log to the rule's file, and how near the job comes to the memory that it asked for.

    Parameters
    ----------
    job : object
        The ``snakemake`` that a script is given.
    """
    start_logging(job.log[0])
    asked = job.resources.get("mem_mb")
    if asked:
        watch_memory(job.rule, asked)
