"""Kills a job, and the Snakemake that started it, at a chosen point of its code.

A folder with this file as ``sitecustomize.py`` goes first in PYTHONPATH, the point in KILL_AT:
``module:function:n`` at the n-th call of a function, ``write:pattern:n`` when the n-th file of
such a name is half written.
"""

import fnmatch
import importlib.util
import os
import signal
import sys

KIND, PLACE, NUMBER = os.environ["KILL_AT"].split(":")
calls = 0


def count() -> None:
    global calls
    calls += 1
    if calls == int(NUMBER):
        os.killpg(os.getpgid(0), signal.SIGKILL)


def kill_while_writing() -> None:
    replace = os.replace

    def watched(source, target, **named):
        if fnmatch.fnmatch(str(target), PLACE):
            if calls + 1 == int(NUMBER):
                os.truncate(source, os.path.getsize(source) // 2)
            count()
        return replace(source, target, **named)

    os.replace = watched


class Finder:
    """Wraps the function when its module is imported."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != KIND:
            return None
        sys.meta_path.remove(Finder)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            function = getattr(module, PLACE)

            def watched(*arguments, **named):
                count()
                return function(*arguments, **named)

            setattr(module, PLACE, watched)

        spec.loader.exec_module = exec_module
        return spec


if KIND == "write":
    kill_while_writing()
else:
    sys.meta_path.insert(0, Finder)
