"""Faults of disks, folders and files, each made to happen; and damage to what every reader reads.

`benchmarks/fuzz_readers.py` gives 10,000 damaged files to each reader, with its memory limited;
here are fewer.
"""

import errno
import gzip
import os
import pickle
import re
import resource
import subprocess
import tempfile
import time
import zipfile
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from darkknowledge import files, sound
from darkknowledge.checkpoints import load_checkpoint, load_network
from darkknowledge.deploy.audio import read_audio
from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, read_json, read_lines, write_json
from darkknowledge.graph.arpa import read_arpa
from darkknowledge.overlays import read_study
from darkknowledge.sound import read_samples
from darkknowledge.study import StudyError, load_study
from darkknowledge.zipped import open_sealed, read_arrays, sealed, write_arrays, write_sealed
from tests.fuzz import fuzz, memory_folder, outcome
from tests.readers import READERS, SEALED

WRITERS = {name: reader.make for name, reader in SEALED.items()}
WRITERS |= {name: READERS[name].make for name in ("ARPA", "data directory", "tuning", "metrics")}
SLOW = {"exported run, crafted": 40, "graph, crafted": 80}
MAY_BE_ABSENT = {"Kaldi directory": ("segments", "utt2cond")}


def mounted(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """A file system of two MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)):
        pytest.skip("mount: not allowed here; the same errors are made by limits and by hand below")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def files_of_at_most(size):
    """Make the system refuse to let files grow further, as a full quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_the_old_files_stay(disk, name):
    folder = disk / "results"
    folder.mkdir()
    WRITERS[name](folder)
    (disk / "ballast").touch()
    with open(disk / "ballast", "r+b", buffering=0) as ballast, pytest.raises(OSError):
        for size in (4096, 1):  # to the last byte
            while True:
                ballast.write(bytes(size))
    before = contents(folder)
    with pytest.raises(DataError, match=f"{folder}.*No space left on device.*free some space"):
        WRITERS[name](folder)
    assert contents(folder) == before


@pytest.mark.parametrize("name", WRITERS)
def test_a_limit_is_named_and_the_old_files_stay(tmp_path, name):
    WRITERS[name](tmp_path)
    before = contents(tmp_path)
    with files_of_at_most(10), pytest.raises(DataError, match="cannot be written"):
        WRITERS[name](tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk_is_named(disk, name):
    folder = disk / "results"
    folder.mkdir()
    WRITERS[name](folder)
    before = contents(folder)
    assert mounted("-o", "remount,ro", str(disk))
    try:
        with pytest.raises(DataError, match=f"{folder}.*Read-only file system"):
            WRITERS[name](folder)
        assert contents(folder) == before
    finally:
        mounted("-o", "remount,rw", str(disk))


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC])
@pytest.mark.parametrize("step", ["open", "replace", "fsync"])
def test_errors_of_each_step_by_hand(tmp_path, monkeypatch, code, step):
    # the super-user may write where the mode forbids it, so that the system's answer is put in
    path = tmp_path / "table.json"
    write_json(path, {"a": 1})

    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    if step == "open":
        monkeypatch.setattr(files, "open", refuse, raising=False)
    else:
        monkeypatch.setattr(os, step, refuse)
    wanted = OSError if step == "fsync" and code in (errno.EACCES, errno.EPERM) else DataError
    with pytest.raises(wanted, match=os.strerror(code)) as error, atomic_write(path) as file:
        file.write("new")
    assert wanted is OSError or str(path) in str(error.value)
    monkeypatch.undo()
    assert read_json(path) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_errors_of_what_is_read_are_not_taken_for_those_of_what_is_written(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "out"):
        open(tmp_path / "absent")


@pytest.mark.parametrize("name", READERS)
def test_a_vanished_input_is_named(tmp_path, name):
    if name.endswith(", crafted") or name == "checkpoint":  # a training without one starts anew
        pytest.skip("the same files, or none that must be there")
    reader = READERS[name]
    reader.make(tmp_path)
    for file in reader.files:
        if file not in MAY_BE_ABSENT.get(name, ()) and name != "mark of a problem":
            content = (tmp_path / file).read_bytes()
            (tmp_path / file).unlink()
            with pytest.raises(DataError, match=f"{Path(file).name}.*no such file"):
                reader.read(tmp_path)
            (tmp_path / file).mkdir()
            with pytest.raises(DataError, match=str(tmp_path)):
                reader.read(tmp_path)
            (tmp_path / file).rmdir()
            (tmp_path / file).write_bytes(content)


def test_an_unreadable_input_is_named(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "x").write_text("a")
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DataError, match="x: cannot be read .Input/output error"):
        read_lines(tmp_path / "x")


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_refused_or_good(name):
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        found = fuzz(READERS[name], Path(folder), range(SLOW.get(name, 200)), seconds=5)
    assert not found.wrong
    assert found.counts["refused"]


@pytest.mark.parametrize("name", SEALED)
def test_no_flip_anywhere_is_accepted(name):
    reader = READERS[name]
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        folder = Path(folder)
        reader.make(folder)
        for file in reader.files:
            whole = (folder / file).read_bytes()
            # every byte of the header, and a sample of the rest
            for place in [*range(min(600, len(whole))), *range(600, len(whole), 97)]:
                changed = bytearray(whole)
                changed[place] ^= 1 << place % 8
                (folder / file).write_bytes(changed)
                assert outcome(reader, folder, True, 5.0)[0] == "refused", f"{file}, byte {place}"
            (folder / file).write_bytes(whole)


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Swollen:
    def __reduce__(self):
        return bytearray, (1 << 40,)


@pytest.mark.parametrize("made", [Exploit, Swollen])
def test_a_model_under_a_right_checksum_runs_nothing_and_takes_nothing(tmp_path, made):
    hit = tmp_path / "hit"
    value = made(hit) if made is Exploit else made()
    torch.save({"format": 1, "options": value}, tmp_path / "plain.pt")
    (tmp_path / "model.pt").write_bytes(sealed((tmp_path / "plain.pt").read_bytes()))
    with pytest.raises(DataError, match="model.pt: not a readable model .*it names"):
        load_network(tmp_path / "model.pt")
    with write_sealed(tmp_path / "model.pt") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, protocol=2))
        archive.writestr("archive/version", "3\n")
    with pytest.raises(DataError, match="model.pt: not a readable model .*it names"):
        load_network(tmp_path / "model.pt")
    (tmp_path / "state").write_bytes((tmp_path / "plain.pt").read_bytes())
    with pytest.raises(DataError, match="state: the checkpoint is damaged"):
        load_checkpoint(tmp_path / "state")
    assert not hit.exists()


def test_a_model_refused_is_refused_at_once(tmp_path):
    # torch's own search for advice in its message takes minutes for such a name
    with write_sealed(tmp_path / "model.pt") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02P" + b"a b " * (1 << 18) + b"\n.")
        archive.writestr("archive/version", "3\n")
    start = time.perf_counter()
    with pytest.raises(DataError, match="it has the opcode PERSID"):
        load_network(tmp_path / "model.pt")
    assert time.perf_counter() - start < 5


def test_a_model_cannot_ask_for_a_network_that_its_weights_are_not(tmp_path):
    READERS["network"].make(tmp_path)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    for key, value in (("units", 1 << 40), ("layers", 1 << 40), ("units", 5)):
        torch.save({**content, "options": {**content["options"], key: value}}, tmp_path / "x.pt")
        (tmp_path / "x.pt").write_bytes(sealed((tmp_path / "x.pt").read_bytes()))
        with pytest.raises(DataError, match="x.pt: not a readable model .*weights"):
            load_network(tmp_path / "x.pt")
    wide = torch.zeros(1).expand(1 << 40)
    torch.save({**content, "log_priors": wide}, tmp_path / "x.pt")
    (tmp_path / "x.pt").write_bytes(sealed((tmp_path / "x.pt").read_bytes()))
    with pytest.raises(DataError, match="x.pt: not a readable model .*priors of shape"):
        load_network(tmp_path / "x.pt")


def test_sealed_archives_are_what_others_open_and_never_bombs(tmp_path):
    path = tmp_path / "x.npz"
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.array(["x", "yy"]), "c": np.array(3.5)}
    write_arrays(path, arrays)
    with np.load(path) as found:
        assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    assert subprocess.run(["python3", "-m", "zipfile", "-t", str(path)]).returncode == 0
    again = read_arrays(path, "arrays")
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())
    write_arrays(path, {"zeros": np.zeros(1 << 24, np.uint8)})
    with pytest.raises(DataError, match="x.npz: not arrays .*claim to hold"):
        read_arrays(path, "arrays")
    with write_sealed(path) as archive:
        packed = zipfile.ZipInfo("a.npy")
        packed.compress_type = zipfile.ZIP_LZMA
        archive.writestr(packed, b"x")
    with pytest.raises(DataError, match="packed by another method"):
        open_sealed(path, "arrays")
    for header in (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "(" * 9000,
    ):
        with write_sealed(path) as archive:
            text = header.encode() + b"\n"
            front = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
            archive.writestr("a.npy", front + text + bytes(8))
        with pytest.raises(DataError, match="x.npz: not arrays"):
            read_arrays(path, "arrays")


@pytest.mark.parametrize("filler", [b"\n", b" ", b"x", b"x\n", b"a b\n", b"\0"])
def test_a_packed_language_model_is_no_bomb(tmp_path, filler):
    path = tmp_path / "lm.arpa.gz"
    path.write_bytes(gzip.compress(b"\\data\\\n" + filler * (16 << 20), 1))
    start = time.perf_counter()
    with pytest.raises(DataError, match="lm.arpa.gz:"):
        read_arpa(path)
    assert time.perf_counter() - start < 10


def test_a_study_is_no_bomb_and_has_no_key_twice(tmp_path):
    path = tmp_path / "study.yaml"
    names = "abcdefghij"
    lists = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lists += [f"{y}: &{y} [{', '.join([f'*{x}'] * 9)}]" for x, y in pairwise(names)]
    merges = ["a: &a {x: 1}"]
    merges += [f"{y}: &{y} {{<<: [{', '.join([f'*{x}'] * 9)}]}}" for x, y in pairwise(names)]
    wrong = {
        "\n".join(lists): r"study.yaml:\d+:\d+: more than 100000 values",
        "\n".join(merges): r"study.yaml:\d+:\d+: more than 100000 values",
        "a: &a [*a]": "an anchor inside itself",
        "seeds: [1]\nname: x\nseeds: [2]\n": "study.yaml:3:1: the key 'seeds' stands twice",
        "runs: {dnn: {}, dnn: {}}": "study.yaml:1:17: the key 'dnn' stands twice",
        "a: !!python/object/apply:os.system [touch hit]": "could not determine a constructor",
        "[" * 5000: "study.yaml",
        "? [a]\n: b": "a key that is no word",
        "- a\n- b\n": "expected a study: keys with values",
        "x" * 60000: "at most 50000",
    }
    for text, message in wrong.items():
        path.write_text(text)
        start = time.perf_counter()
        with pytest.raises(DataError, match=message):
            read_study(path)
        assert time.perf_counter() - start < 5
    path.write_text("base: &base {units: 1}\nother: {<<: *base, units: 2}\n")
    assert read_study(path)["other"] == {"units": 2}
    # what Snakemake has read itself
    bomb = yaml.safe_load("\n".join(lists))
    with pytest.raises(StudyError, match="more than 100000 values"):
        load_study({"seeds": bomb["j"]})
    with pytest.raises(StudyError, match="key 1; expected a word"):
        load_study({"runs": {1: {}}})


def test_sound_is_no_bomb(tmp_path, monkeypatch):
    path = tmp_path / "x.flac"
    soundfile.write(path, np.zeros(1 << 21, np.int16), 16000)
    monkeypatch.setattr(sound, "_MANY", 1 << 20)
    monkeypatch.setattr(sound, "_MOST_PER_BYTE", 10)
    with pytest.raises(DataError, match="x.flac: .* bytes hold more than"):
        read_samples(path)
    monkeypatch.undo()
    assert len(read_samples(path)[0]) == 1 << 21
    path = tmp_path / "x.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=4000), 44101)
    with pytest.raises(DataError, match="sampled at 44101 Hz.*common rate"):
        read_audio(path, 16000)
    for rate in (1, 0x7FFFFFFF):
        content = bytearray(path.read_bytes())
        content[24:28] = rate.to_bytes(4, "little")
        (tmp_path / "y.wav").write_bytes(content)
        with pytest.raises(DataError, match=f"y.wav: .*a sampling rate of {rate} Hz"):
            read_audio(tmp_path / "y.wav", 16000)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("A AH\nB\u00a0C\n", "2: character U+00A0"),
        ("\ufeffA AH\n", "1: character U+FEFF"),
        ("A AH\n\nB\0\n", "3: character U+0000"),
        ("A\u2028B\n", "1: character U+2028"),
        ("A\rB\n", "1: character U+000D"),
    ],
)
def test_characters_that_programs_take_differently_are_named(tmp_path, text, place):
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(DataError, match=re.escape(f"{path}:{place}")):
        read_lines(path)
    path.write_bytes("Ä AH\r\nB\tB\r\n\r\n".encode())
    assert read_lines(path) == ["Ä AH", "B\tB", ""]


def test_messages_stay_readable():
    message = str(DataError(f"x:1: {'y' * 10**6}; expected z: mend it"))
    assert len(message) < 3000 and message.startswith("x:1: y") and message.endswith("mend it")
