"""Work on shards in persistent processes; results come in the order of the shards.

What is computed for a shard does not depend on the process that computes it, and sums are taken
in the order of the shards: the number of processes changes no byte.
"""

import contextlib
import multiprocessing
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch

from darkknowledge.errors import DataError, TrainingError


class Crew:
    """A fixed share of the shards for each of some processes.

    Parameters
    ----------
    make : callable
        ``make(shard)`` gives the object that works on a shard; called in its process.
    shards : list
        Descriptions of shards.
    threads : int
        Number of processes; with one, the work is done in this process.
    """

    def __init__(self, make: Callable[[Any], Any], shards: list, threads: int):
        self.count = len(shards)
        self.size = max(1, min(threads, self.count))
        self._members: list = []
        self._here = None
        if self.size == 1:
            self._here = [make(shard) for shard in shards]
            return
        context = multiprocessing.get_context("fork")
        for number in range(self.size):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve,
                args=(
                    theirs,
                    [pipe for _, pipe in self._members] + [ours],
                    make,
                    shards[number :: self.size],
                ),
                daemon=True,
            )
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def map(self, method: str, *arguments) -> Iterator[Any]:
        """Call a method of every shard's object; yield the results in the order of the shards."""
        if self._here is not None:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                for worker in self._here:
                    yield getattr(worker, method)(*arguments)
            finally:
                torch.set_num_threads(threads)
            return
        for _, pipe in self._members:
            with contextlib.suppress(BrokenPipeError):  # its last word is read below
                pipe.send((method, arguments))
        for number in range(self.count):
            process, pipe = self._members[number % self.size]
            try:
                good, result = pipe.recv()
            except (EOFError, ConnectionResetError):
                process.join(5)
                raise TrainingError(
                    f"a process ended in {method} (exit code {process.exitcode}); out of memory? "
                    "lower hmm.cached_frames or the number of threads"
                ) from None
            if not good:
                self.close()
                kind, message, trace = result
                if kind == "DataError":
                    raise DataError(message)
                raise TrainingError(f"{message}\n{trace}")
            yield result

    def run(self, method: str, *arguments) -> list:
        """All results of :meth:`map`."""
        return list(self.map(method, *arguments))

    def close(self) -> None:
        """End the processes."""
        for process, pipe in self._members:
            pipe.close()
            process.terminate()
            process.join()
        self._members = []
        self._here = None

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _serve(pipe, inherited, make, shards) -> None:
    for other in inherited:  # so that the end of the parent is seen as the end of the pipe
        other.close()
    torch.set_num_threads(1)
    try:
        workers = [make(shard) for shard in shards]
        while True:
            method, arguments = pipe.recv()
            for worker in workers:
                pipe.send((True, getattr(worker, method)(*arguments)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        pipe.send((False, (type(error).__name__, str(error), traceback.format_exc())))
