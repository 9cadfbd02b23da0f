"""What a script computes, as a short hash that comments and docstrings do not change.

Snakemake compares the parameters of a rule with those of its last run. With the fingerprint of
its script among them, a changed line of code in any library module that the script imports,
directly or through others, reruns the rule; a comment, a docstring, a new time stamp or a
checkout back and forth does not. A style beside a module (``figures.mplstyle``) counts with it.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "darkknowledge"


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
def _parse(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a module's code without comments, and the package's modules that it names."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    own = sorted(name for name in names if name.split(".")[0] == PACKAGE)
    return ast.unparse(_without_docstrings(tree)), tuple(own)


def _files(name: str, root: Path) -> list[Path]:
    """Return the files that importing a module runs: its packages' and its own."""
    parts = name.split(".")
    files = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    files.append(root.joinpath(*parts[:-1], f"{parts[-1]}.py"))
    return [file for file in files if file.is_file()]


@cache
def imported_files(script: Path, root: Path) -> tuple[Path, ...]:
    """List the package's files that a script imports, directly or through others, sorted."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for name in _parse(waiting.pop())[1]:
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
        digest.update(_parse(file)[0].encode())
        style = file.with_suffix(".mplstyle")
        if style.is_file():
            lines = style.read_text(encoding="utf-8").splitlines()
            digest.update("\n".join(x for x in lines if not x.startswith("#")).encode())
    return digest.hexdigest()[:12]
