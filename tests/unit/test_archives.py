import os
import pickle
import struct
from pathlib import Path

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
    with pytest.raises(DataError, match="x.ark: has 100 bytes; expected 817: it is truncated"):
        Archive(scp)
    with pytest.raises(DataError, match="a cannot be read from .*800 bytes claimed, 83 left"):
        Archive(scp, [tmp_path])["a"]


def test_a_flip_anywhere_is_refused(tmp_path):
    arrays = {"b": np.arange(5, dtype=np.int32), "a": np.ones((2, 3), dtype=np.float32)}
    scp = tmp_path / "x.scp"
    write_archive(scp, arrays.items(), tree="a1b2")
    assert Archive(scp).tree == "a1b2"
    for name in ("x.ark", "x.scp", "x.crc"):
        whole = (tmp_path / name).read_bytes()
        for place in range(len(whole)):
            for flip in (1, 128):
                changed = bytearray(whole)
                changed[place] ^= flip
                (tmp_path / name).write_bytes(changed)
                with pytest.raises(DataError, match=str(tmp_path)):
                    dict(Archive(scp))
        (tmp_path / name).write_bytes(whole)
    assert len(dict(Archive(scp))) == 2


def test_an_index_of_another_archive_is_refused(tmp_path):
    for name, value in (("x", 1), ("y", 2)):
        write_archive(tmp_path / f"{name}.scp", [("a", np.full(3, value))])
    for suffix in ("scp", "crc", "ark"):
        own = (tmp_path / f"x.{suffix}").read_bytes()
        (tmp_path / f"x.{suffix}").write_bytes((tmp_path / f"y.{suffix}").read_bytes())
        with pytest.raises(DataError, match="x.(scp|ark)"):
            Archive(tmp_path / "x.scp")["a"]
        (tmp_path / f"x.{suffix}").write_bytes(own)
    (tmp_path / "x.crc").unlink()
    with pytest.raises(DataError, match="x.crc: no such file"):
        Archive(tmp_path / "x.scp")


@pytest.mark.parametrize("method", range(1, 8))
def test_compressed_matrices_are_those_of_kaldiio(tmp_path, method):
    matrix = np.random.default_rng(method).random((11, 3)).astype(np.float32)
    ark, scp = str(tmp_path / "x.ark"), str(tmp_path / "x.scp")
    with open(ark, "wb") as file:
        kaldiio.save_ark(file, {"a": matrix}, scp=scp, compression_method=method)
    theirs = kaldiio.load_mat(Path(scp).read_text().split()[1])
    np.testing.assert_allclose(Archive(scp, [tmp_path])["a"], theirs, atol=1e-6)


def test_text_vectors_doubles_and_ranges(tmp_path):
    matrix = np.arange(12, dtype=np.float64).reshape(4, 3)
    for name, text in (("t", True), ("b", False)):
        with open(tmp_path / f"{name}.ark", "wb") as file:
            kaldiio.save_ark(file, {"a": matrix}, text=text)
        scp = tmp_path / f"{name}.scp"
        lines = {
            "whole": "",
            "rows": "[1:2]",
            "late": "[2:5]",
            "both": "[0:1,1:2]",
            "cols": "[:,0:0]",
        }
        scp.write_text("".join(f"{key} {name}.ark:2{part}\n" for key, part in lines.items()))
        found = dict(Archive(scp, [tmp_path]))
        np.testing.assert_array_equal(found["whole"], matrix)
        np.testing.assert_array_equal(found["rows"], matrix[1:3])
        np.testing.assert_array_equal(found["late"], matrix[2:])
        np.testing.assert_array_equal(found["both"], matrix[:2, 1:])
        np.testing.assert_array_equal(found["cols"], matrix[:, :1])
        scp.write_text(f"a {name}.ark:2[2:9]\n")
        with pytest.raises(DataError, match="rows 2 to 9 of 4"):
            Archive(scp, [tmp_path])["a"]


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_archives_execute_nothing_and_wait_for_nothing(tmp_path):
    hit = tmp_path / "hit"
    (tmp_path / "x.ark").write_bytes(b"a PKL" + pickle.dumps(Exploit(str(hit))))
    (tmp_path / "touch").mkdir()
    os.mkfifo(tmp_path / "fifo")
    scp = tmp_path / "x.scp"
    for place in ("x.ark:2", f"mkdir {hit} |:0", f"|mkdir {hit}:0", "-:0", "fifo:0", "/dev/zero:0"):
        scp.write_text(f"a {place}\n")
        with pytest.raises(DataError, match="x.scp"):
            Archive(scp, [tmp_path])["a"]
    assert not hit.exists()


def test_sizes_are_compared_with_the_file_before_anything_is_allocated(tmp_path):
    scp = tmp_path / "x.scp"
    scp.write_text("a x.ark:0\n")
    largest = struct.pack("<bi", 4, 2**31 - 1)
    for content in (b"\0BFM " + 2 * largest, b"\0BDV " + largest, b"\0B" + largest,
                    b"\0BCM " + struct.pack("<ffii", 0, 1, 2**31 - 1, 2**31 - 1),
                    b"\0BFV " + struct.pack("<bi", 4, -1)):  # fmt: skip
        (tmp_path / "x.ark").write_bytes(content + bytes(100))
        with pytest.raises(DataError, match="bytes claimed|size -1"):
            Archive(scp, [tmp_path])["a"]


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
