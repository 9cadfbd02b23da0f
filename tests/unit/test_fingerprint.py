from pathlib import Path

import pytest

from darkknowledge import fingerprint as module


def tree(folder: Path, lib: str, script: str = "from darkknowledge.lib import f\n\nf()\n") -> Path:
    package = folder / "darkknowledge"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "lib.py").write_text(lib)
    (package / "other.py").write_text("X = 1\n")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "job.py").write_text(script)
    return folder


def mark(folder: Path) -> str:
    return module.fingerprint(folder / "scripts" / "job.py", folder)


def test_comments_docstrings_and_layout_do_not_count(tmp_path):
    plain = tree(tmp_path / "a", "def f():\n    return 1\n")
    dressed = tree(
        tmp_path / "b", '"""Module."""\n\n\ndef f():\n    """Say one."""\n    return 1  # one\n'
    )
    assert mark(plain) == mark(dressed)


def test_a_changed_line_counts_in_a_module_reached_through_another(tmp_path):
    first = tree(tmp_path / "a", "from darkknowledge.other import X\n\n\ndef f():\n    return X\n")
    second = tree(tmp_path / "b", "from darkknowledge.other import X\n\n\ndef f():\n    return X\n")
    assert mark(first) == mark(second)
    third = tree(tmp_path / "c", "from darkknowledge.other import X\n\n\ndef f():\n    return X\n")
    (third / "darkknowledge" / "other.py").write_text("X = 2\n")
    assert mark(first) != mark(third)


def test_a_style_counts_with_its_module_but_for_comments(tmp_path):
    marks = []
    for name, style in enumerate(("# one\nsize: 9\n", "# two\nsize: 9\n", "size: 8\n")):
        folder = tree(tmp_path / str(name), "def f():\n    return 1\n")
        (folder / "darkknowledge" / "lib.mplstyle").write_text(style)
        marks.append(mark(folder))
    assert marks[0] == marks[1] != marks[2]


def test_a_module_that_is_not_imported_does_not_count(tmp_path):
    first = tree(tmp_path / "a", "def f():\n    return 1\n")
    second = tree(tmp_path / "b", "def f():\n    return 1\n")
    (second / "darkknowledge" / "other.py").write_text("X = 2\n")
    assert mark(first) == mark(second)


def test_imports_inside_functions_and_packages_are_followed(tmp_path):
    folder = tree(
        tmp_path / "a", "def f():\n    from darkknowledge.room import table\n\n    return table\n"
    )
    room = folder / "darkknowledge" / "room"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "table.py").write_text("import json\n")
    found = module.imported_files(folder / "scripts" / "job.py", folder)
    names = {str(file.relative_to(folder)) for file in found}
    assert {"darkknowledge/room/__init__.py", "darkknowledge/room/table.py"} <= names


def test_what_was_parsed_before_is_remembered_by_its_bytes(tmp_path, monkeypatch):
    folder = tree(tmp_path / "a", "from darkknowledge.other import X\n\n\ndef f():\n    return X\n")
    first = mark(folder)
    module.remember(folder)
    assert (folder / module.MEMORY).is_file()

    def forget():
        for cached in (module._memory, module._parse, module.imported_files, module.fingerprint):
            cached.cache_clear()
        module._seen.clear()

    forget()
    with monkeypatch.context() as patched:
        patched.setattr(module.ast, "parse", lambda *_: pytest.fail("parsed once more"))
        assert mark(folder) == first
    forget()
    (folder / "darkknowledge" / "other.py").write_text("X = 2\n")
    assert mark(folder) != first
    for damaged in ("", "[]", '{"a": 1}', "{", '{"a": [1]}'):
        forget()
        (folder / "darkknowledge" / "other.py").write_text("X = 1\n")
        (folder / module.MEMORY).write_text(damaged)
        assert mark(folder) == first


def test_every_script_reaches_only_files_of_the_package():
    root = Path(__file__).parents[2]
    for script in sorted((root / "scripts").glob("*.py")):
        for file in module.imported_files(script, root):
            assert file.is_relative_to(root / "darkknowledge")
            assert file.name != "study.py", f"{script.name} depends on study.py: {file}"
