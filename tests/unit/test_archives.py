import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkknowledge.archives import Archive, write_archive
from darkknowledge.errors import DataError


def test_kaldiio_reads_what_is_written(tmp_path):
    scp = tmp_path / "feats.scp"
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    labels = np.array([3, 1, 2], dtype=np.int32)
    assert write_archive(scp, [("b", labels), ("a", matrix)]) == 2
    theirs = kaldiio.load_scp(str(scp))
    np.testing.assert_array_equal(theirs["a"], matrix)
    np.testing.assert_array_equal(theirs["b"], labels)
    ours = Archive(scp)
    assert list(ours) == ["a", "b"]
    np.testing.assert_array_equal(ours["b"], labels)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], "nothing to write"),
        ([("a", np.zeros(2)), ("a", np.zeros(2))], "a is written twice"),
        ([("a", np.zeros((0, 3)))], "a is empty"),
        ([("a", np.array([1.0, np.nan]))], "a holds a NaN"),
    ],
)
def test_refused_and_nothing_left(tmp_path, items, expected):
    with pytest.raises(DataError, match=expected):
        write_archive(tmp_path / "x.scp", items)
    assert list(tmp_path.iterdir()) == []


def test_truncated_archive_is_named(tmp_path):
    scp = tmp_path / "x.scp"
    write_archive(scp, [("a", np.ones((50, 4), dtype=np.float32))])
    ark = tmp_path / "x.ark"
    ark.write_bytes(ark.read_bytes()[:100])
    with pytest.raises(DataError, match="a cannot be read"):
        Archive(scp)["a"]


@given(st.text(max_size=80))
def test_any_index_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("scp") / "x.scp"
    path.write_text(text, encoding="utf-8")
    try:
        assert len(Archive(path)) > 0
    except DataError as error:
        assert str(path) in str(error)


def test_an_index_that_names_a_command_is_refused(tmp_path):
    path = tmp_path / "x.scp"
    path.write_text("a touch ran:it |\n")
    with pytest.raises(DataError, match="expected 'key path:offset'"):
        Archive(path)
