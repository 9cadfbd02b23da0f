import pytest

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, read_json, read_jsonl, write_json, write_jsonl


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write("half")
        raise RuntimeError
    assert read_json(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["table.json"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".a[1].ark.123456.tmp"
    other = tmp_path / ".b.ark.123456.tmp"
    left.touch()
    other.touch()
    with atomic_write(tmp_path / "a[1].ark", "wb") as file:
        file.write(b"x")
    assert not left.exists() and other.exists()


def test_rows_come_back(tmp_path):
    rows = [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.5}]
    write_jsonl(tmp_path / "m.jsonl", rows)
    assert read_jsonl(tmp_path / "m.jsonl") == rows


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"a": 1}\n{"a"\n')
    with pytest.raises(DataError, match="m.jsonl:2: not JSON"):
        read_jsonl(tmp_path / "m.jsonl")
    with pytest.raises(DataError, match="no such file"):
        read_json(tmp_path / "none.json")
