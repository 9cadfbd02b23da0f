"""Which jobs Slurm killed for their memory or time, as its own logs and Snakemake's tell.

Without accounting Slurm tells Snakemake no more than FAILED, and a job that was killed before its
first word has no log of its own. The limit and what was used then stand in Slurm's log alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^(?:local)?(rule|Error in rule) (\w+):$")
KILLED_FOR_MEMORY = re.compile(r"exceeded memory limit|oom[-_ ]kill|'OUT_OF_MEMORY'", re.IGNORECASE)
KILLED_FOR_TIME = re.compile(r"DUE TO TIME LIMIT|'TIMEOUT'")
OVER_LIMIT = re.compile(r"exceeded memory limit \((\d+) > \d+\)")
TOLD_BY_JOB = re.compile(r"^memory of \w+: (\d+) of the \d+ MB asked for$", re.MULTILINE)


@dataclass(frozen=True)
class Kill:
    """A job that Slurm killed.

    Attributes
    ----------
    rule : str
    job : str
        Slurm's number.
    resource : str
        ``mem_mb`` or ``runtime``.
    asked : int
        Megabytes or minutes.
    used : int, optional
        Megabytes, the most that was seen; None where nobody saw it, and for time.
    """

    rule: str
    job: str
    resource: str
    asked: int
    used: int | None = None

    def __str__(self) -> str:
        job = f"{self.rule} (Slurm job {self.job}) was killed"
        more = f"more with --set-resources {self.rule}:{self.resource}={2 * self.asked}"
        if self.resource == "runtime":
            return f"{job} at its time limit: {self.asked} min asked for; {more}"
        used = "more than that" if self.used is None else f"{self.used} MB"
        return f"{job} for its memory: {self.asked} MB asked for, {used} used; {more}"


def killed_jobs(log: str | Path) -> list[Kill]:
    """Find the jobs of a run of Snakemake that Slurm killed.

    Parameters
    ----------
    log : path
        Snakemake's own log of the run. Of each job that failed it names Slurm's log.

    Returns
    -------
    list of Kill
        One for each attempt, in the order of the log. Of a job that failed for another reason, or
        whose log is not there, nothing is known and nothing is said.
    """
    kills, asked = [], {}
    for kind, rule, entries in _blocks(Path(log).read_text(errors="replace")):
        if kind == "rule":
            asked[entries.get("jobid")] = entries.get("resources", "")
        elif "external_jobid" in entries:
            kill = _kill(rule, entries, asked.get(entries.get("jobid"), ""))
            kills += [kill] if kill else []
    return kills


def _blocks(text: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield what Snakemake says of jobs: which kind of block, the rule, and its entries."""
    found, entries = None, {}
    for line in [*text.splitlines(), ""]:
        if found and line.startswith("    "):
            key, _, value = line.strip().partition(": ")
            entries[key] = value
            continue
        if found:
            yield found[1], found[2], entries
        found, entries = BLOCK.match(line), {}


def _kill(rule: str, failure: dict[str, str], resources: str) -> Kill | None:
    text = failure.get("message", "")
    logs = failure.get("log", "").removesuffix(" (check log file(s) for error details)")
    slurm_log = Path("/" + logs.rpartition(", /")[2].lstrip("/"))  # after the rule's own, if any
    if slurm_log.is_file():
        text += "\n" + slurm_log.read_text(errors="replace")
    job = failure["external_jobid"]
    asked = {key: int(value) for key, value in re.findall(r"\b(mem_mb|runtime)=(\d+)", resources)}
    if KILLED_FOR_TIME.search(text) and "runtime" in asked:
        return Kill(rule, job, "runtime", asked["runtime"])
    if KILLED_FOR_MEMORY.search(text) and "mem_mb" in asked:
        seen = [int(number) // 2**20 for number in OVER_LIMIT.findall(text)]
        seen += [int(number) for number in TOLD_BY_JOB.findall(text)]
        over = [number for number in seen if number > asked["mem_mb"]]
        return Kill(rule, job, "mem_mb", asked["mem_mb"], max(over, default=None))
    return None
