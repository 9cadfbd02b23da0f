"""Give 10,000 damaged files to every reader: none may crash, hang, swell or accept in silence.

    python benchmarks/fuzz_readers.py [--inputs 10000] [--first 0] [READER ...]

Each reader works in a process of its own, which may take 512 MiB more than the libraries it has
loaded, and one second of the processor for each input. Prints a table, and the inputs that a
reader failed on; the exit status is 1 if there are any.
"""

import argparse
import json
import logging
import os
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.fuzz import fuzz, memory_folder  # noqa: E402
from tests.readers import READERS  # noqa: E402

MORE = 512 << 20
HEAD = ("reader", "inputs", "accepted", "refused", "wrong", "slowest s", "memory MiB", "s")


def pages(field: int) -> int:
    """Return bytes of this process: 0 its address space, 1 what is in memory."""
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()


def examine(name: str, inputs: range) -> dict:
    """Fuzz one reader in this process; return what is shown of it."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        fuzz(READERS[name], Path(folder), range(inputs.start, inputs.start + 1))  # loads libraries
    before = pages(1)
    limit = pages(0) + MORE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        found = fuzz(READERS[name], Path(folder), inputs)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {
        "counts": dict(found.counts),
        "wrong": found.wrong,
        "slowest": found.slowest,
        "memory": most / 2**20,
        "seconds": time.perf_counter() - start,
    }


def apart(name: str, inputs: range) -> dict:
    """Fuzz one reader in a child process."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            with os.fdopen(write, "w") as pipe:
                json.dump(examine(name, inputs), pipe)
        except Exception:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status or not text:
        return {"counts": {"wrong": 1}, "wrong": [f"the process ended with {status}"]}
    return json.loads(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first input")
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    given = parser.parse_args()
    inputs = range(given.first, given.first + given.inputs)
    failed = []
    print("{:<28}{:>8}{:>10}{:>9}{:>7}{:>11}{:>12}{:>7}".format(*HEAD))
    for name in given.readers or READERS:
        found = apart(name, inputs)
        counts = found["counts"]
        numbers = (counts.get(kind, 0) for kind in ("accepted", "refused", "wrong"))
        print(
            "{:<28}{:>8}{:>10}{:>9}{:>7}{:>11.3f}{:>12.0f}{:>7.0f}".format(
                name,
                sum(counts.values()),
                *numbers,
                *(found.get(key, 0.0) for key in ("slowest", "memory", "seconds")),
            ),
            flush=True,
        )
        failed += [f"{name}: {problem}" for problem in found["wrong"]]
    print(*failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
