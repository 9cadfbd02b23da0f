"""How often Snakemake looks for jobs to start."""

from typing import Any

# --max-jobs-per-timespan where nobody says another
DEFAULT_RATE = (100, 1)


def look_when_jobs_end(workflow: Any) -> None:
    """Keep Snakemake from looking for jobs again and again while none can start.

    Snakemake 9 limits the rate of starts, and so looks once more a second after every look that
    found jobs waiting. The end of each job begins another such chain, and none ends: after two
    hours and 80 jobs that took a fifth of a core. Without a limit it looks when a job ends. A rate
    that a user has asked for stays.

    Parameters
    ----------
    workflow : object
        The ``workflow`` of a Snakefile, when its jobs are about to start (``onstart``).
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == DEFAULT_RATE:
        workflow.scheduler.job_rate_limiter = None
