"""What a script computes, as a short hash that comments and docstrings do not change.

Snakemake compares the parameters of a rule with those of its last run. With the fingerprint of
its script among them, a changed line of code in any library module that the script imports,
directly or through others, reruns the rule; a comment, a docstring, a new time stamp or a
checkout back and forth does not. A style beside a module (``figures.mplstyle``) counts with it.
"""

import ast
import hashlib
import json
from contextlib import suppress
from functools import cache
from pathlib import Path

from darkknowledge.errors import DataError
from darkknowledge.files import write_text

PACKAGE = "darkknowledge"
# what was found in files of the same bytes before: parsing takes half of a second
MEMORY = Path(".snakemake") / "code.json"
_seen: dict[Path, dict[str, tuple[str, list[str]]]] = {}


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            first = body[0] if body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                if isinstance(first.value.value, str):
                    node.body = body[1:] or [ast.Pass()]
    return tree


@cache
def _memory(root: Path) -> dict[str, tuple[str, list[str]]]:
    try:
        remembered = json.loads((root / MEMORY).read_bytes())
        return {str(key): (str(code), list(names)) for key, (code, names) in remembered.items()}
    except (OSError, AttributeError, TypeError, ValueError):
        return {}


@cache
def _parse(path: Path, root: Path) -> tuple[str, list[str]]:
    """Return a hash of a module's code without comments, and the package's modules it names."""
    source = path.read_bytes()
    key = hashlib.sha256(source).hexdigest()
    found = _memory(root).get(key)
    if found is None:
        tree = ast.parse(source, str(path))
        names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
        own = sorted(name for name in names if name.split(".")[0] == PACKAGE)
        code = ast.unparse(_without_docstrings(tree))
        found = hashlib.sha256(code.encode()).hexdigest(), own
    _seen.setdefault(root, {})[key] = found
    return found


def remember(root: Path) -> None:
    """Keep what was found in the code for the next process, if the folder can be written."""
    seen = _seen.get(root, {})
    if seen != _memory(root):
        with suppress(DataError):
            write_text(root / MEMORY, json.dumps({key: seen[key] for key in sorted(seen)}))


@cache
def _files(name: str, root: Path) -> tuple[Path, ...]:
    """Return the files that importing a module runs: its packages' and its own."""
    parts = name.split(".")
    files = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    files.append(root.joinpath(*parts[:-1], f"{parts[-1]}.py"))
    return tuple(file for file in files if file.is_file())


@cache
def imported_files(script: Path, root: Path) -> tuple[Path, ...]:
    """List the package's files that a script imports, directly or through others, sorted."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for name in _parse(waiting.pop(), root)[1]:
            for file in _files(name, root):
                if file not in found:
                    found.add(file)
                    waiting.append(file)
    return tuple(sorted(found))


@cache
def fingerprint(script: Path, root: Path) -> str:
    """Hash a script together with the library code behind it.

    Parameters
    ----------
    script : Path
        A Python file.
    root : Path
        The folder that holds the package.

    Returns
    -------
    str
        Twelve hexadecimal digits, the same for any comments, docstrings and layout.
    """
    digest = hashlib.sha256()
    for file in (script, *imported_files(script, root)):
        digest.update(str(file.relative_to(root)).encode())
        digest.update(_parse(file, root)[0].encode())
        style = file.with_suffix(".mplstyle")
        if style.is_file():
            lines = style.read_text(encoding="utf-8").splitlines()
            digest.update("\n".join(x for x in lines if not x.startswith("#")).encode())
    return digest.hexdigest()[:12]
