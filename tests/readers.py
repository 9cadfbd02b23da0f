"""Every reader of the project with a small file of its kind, to be damaged.

A reader is `sealed` where each byte of its files is under a checksum: of what was changed it may
accept nothing. `crafted` ones are given changed contents under a checksum that is right.
"""

import gzip
import hashlib
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kaldifst
import kaldiio
import numpy as np
import soundfile
import torch

from darkknowledge.adaptation import read_tuning
from darkknowledge.archives import VERSION as ARCHIVE_VERSION
from darkknowledge.archives import Archive, write_archive
from darkknowledge.checkpoints import load_checkpoint, load_network, save_checkpoint, save_model
from darkknowledge.checksums import check_checksums, write_checksums
from darkknowledge.corpora import checks
from darkknowledge.corpora.checks import Door
from darkknowledge.corpora.kaldi import read_source
from darkknowledge.corpora.librispeech import read_dictionary, read_transcripts
from darkknowledge.datadir import DataDirectory, read_data_directory
from darkknowledge.decoding import Graph
from darkknowledge.deploy.audio import read_audio
from darkknowledge.deploy.folder import FILES, ExportedRun, export_run
from darkknowledge.failures import problem_of
from darkknowledge.files import read_json, read_jsonl, write_json, write_jsonl
from darkknowledge.graph.arpa import read_arpa, write_arpa
from darkknowledge.graph.compose import FILES as GRAPH_FILES
from darkknowledge.graph.compose import make_graph
from darkknowledge.graph.fst import read_fst
from darkknowledge.graph.lexicon_probabilities import read_lexicon_probabilities
from darkknowledge.graph.lm import estimate
from darkknowledge.graph.pronunciation_usage import _read_phones
from darkknowledge.hmm.alignment_check import _read_ctm
from darkknowledge.hmm.model import HmmModel, Transform
from darkknowledge.hmm.phones import PhoneTable
from darkknowledge.landscape import read_toy, toy_data, toy_surfaces, write_toy
from darkknowledge.lattices.files import read_lattices, write_lattices
from darkknowledge.lattices.paths import ARC, Lattice
from darkknowledge.lexicon import read_lexicon
from darkknowledge.networks.registry import build_network
from darkknowledge.overlays import read_study
from darkknowledge.scoring import read_ctm, read_trn
from darkknowledge.sequence.files import TrainingLattices, write_training_lattices
from darkknowledge.soft_targets import FIXED, open_cache, write_soft_targets
from darkknowledge.study import load_study
from darkknowledge.zipped import sealed
from tests.hmm_toys import tiny_model
from tests.mutations import mutated
from tests.unit.test_decoding import LEXICON, MODEL, WORDS
from tests.unit.test_sequence import SEARCH, random_lattice

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Reader:
    """A reader and its files.

    Attributes
    ----------
    make : callable
        Writes the files into a folder.
    read : callable
        Reads all that is there.
    files : tuple of str
        Those that are damaged, in turn.
    sealed : bool
    craft : callable, optional
        Changes the contents of a file, given with a seed, and puts its checksum right.
    """

    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    files: tuple[str, ...]
    sealed: bool = False
    craft: Callable[[Path, bytes, int], bytes] | None = None

    def damage(self, folder: Path, name: str, content: bytes, seed: int) -> bytes:
        """Return the bytes of a file, changed."""
        if self.craft:
            return self.craft(folder / name, content, seed)
        return mutated(content, seed)


def _text(folder: Path, **files: str) -> None:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "u1": rng.normal(size=(9, 4)).astype(np.float32),
        "u2": rng.integers(0, 50, 12).astype(np.int32),
        "u3": rng.normal(size=5).astype(np.float32),
    }


def _foreign_archive(folder: Path) -> None:
    matrix = np.random.default_rng(0).random((11, 3)).astype(np.float32)
    places = {}
    with open(folder / "x.ark", "wb") as file:
        for key, how in {
            "float": {},
            "cm": {"compression_method": 2},
            "cm2": {"compression_method": 3},
            "cm3": {"compression_method": 5},
            "text": {"text": True},
        }.items():
            places[key] = file.tell() + len(key) + 1
            kaldiio.save_ark(file, {key: matrix}, **how)
        places["integers"] = file.tell() + 9
        kaldiio.save_ark(file, {"integers": np.arange(7, dtype=np.int32)})
    lines = [f"{key} x.ark:{place}\n" for key, place in places.items()]
    lines.append(f"range x.ark:{places['float']}[2:4,0:1]\n")
    (folder / "x.scp").write_text("".join(lines))


def _craft_archive(path: Path, content: bytes, seed: int) -> bytes:
    """Change the archive or its index, and write the checksums anew."""
    content = mutated(content, seed)
    scp, ark = path.with_suffix(".scp"), path.with_suffix(".ark")
    index = content if path.suffix == ".scp" else scp.read_bytes()
    data = content if path.suffix == ".ark" else ark.read_bytes()
    places = {}
    for line in index.decode("utf-8", "replace").split("\n"):
        key, _, place = line.partition(" ")
        offset = place.rpartition(":")[2][:18]
        if offset.isdecimal():
            places[key] = max(0, int(offset) - len(key.encode()) - 1)
    lines = [f"{zlib.crc32(index):08x} {len(data)}\n"]
    for key, start in places.items():
        end = min([place for place in places.values() if place > start], default=len(data))
        lines.append(f"{zlib.crc32(data[start:end]):08x} {key}\n")
    sums = "".join(lines).encode()
    whole = f"{zlib.crc32(sums):08x} {ARCHIVE_VERSION}\n".encode() + sums
    path.with_suffix(".crc").write_bytes(whole)
    return content


def _arpa(folder: Path) -> None:
    write_arpa(folder / "lm.arpa", estimate([["A", "B"], ["B", "A", "A"], ["A"]], None, 3, [1]))


def _packed_arpa(folder: Path) -> None:
    _arpa(folder)
    packed = gzip.compress((folder / "lm.arpa").read_bytes(), mtime=0)
    (folder / "lm.arpa.gz").write_bytes(packed)


def _craft_gzip(path: Path, content: bytes, seed: int) -> bytes:
    return gzip.compress(mutated(gzip.decompress(content), seed), 1)


def _data_directory(folder: Path) -> None:
    names = ["a-1", "b-2"]
    DataDirectory(
        wav={u: f"{u}.wav" for u in names},
        text={u: ["ONE", "TWO"] for u in names},
        speaker={u: u[0] for u in names},
        condition={u: "01" for u in names},
        duration={u: 1.5 for u in names},
    ).write(folder)


def _kaldi_directory(folder: Path) -> None:
    _text(
        folder,
        wav__scp="r1 r1.wav\nr2 r2.wav\n",
        segments="a-1 r1 0.0 1.5\nb-2 r2 0.25 -1\n",
        text="a-1 ONE TWO\nb-2 SIX\n",
        utt2spk="a-1 a\nb-2 b\n",
        utt2cond="a-1 01\nb-2 02\n",
    )


def _read_kaldi_directory(folder: Path) -> Any:
    door = Door(str(folder))
    found = read_source(folder, folder, door)
    door.close()
    return found


def _sounds(folder: Path) -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal(1600)
    for name, kind in (("x.wav", "PCM_16"), ("x.flac", "PCM_16"), ("x.ogg", "VORBIS")):
        soundfile.write(folder / name, wave, 16000, kind)


def _read_sounds(folder: Path) -> Any:
    for name in ("x.wav", "x.flac", "x.ogg"):
        path = folder / name
        samples, faults = checks.read_audio(path)
        if samples is None and not faults:
            raise AssertionError("neither samples nor a fault")
        found = read_audio(path, 8000)
        if not np.isfinite(found).all():
            raise AssertionError("samples that are no numbers")


STUDY = """name: tiny
corpus: tiny
seeds: [1, 2]
corpora:
  tiny: &tiny {kind: synthetic, train_minutes: 4, train_speakers: 6}
  other: {<<: *tiny, train_speakers: 7}
features: {frame_shift: 10, fbank: {bins: 40}}
decoding: {acoustic_scales: [0.1, 0.2], beams: [11]}
networks:
  dnn: {kind: dnn, layers: 2, units: 64, training: {batch: 64, learning_rate: 1.0e-3}}
  lstm: {kind: lstm, units: 64, projection: 32}
runs:
  dnn: {network: dnn, targets: hard, label: "DNN, hard"}
  rnn: {network: lstm, targets: pretrain, teacher: dnn, temperature: 2}
tables:
  table1: {runs: [dnn, rnn], title: A table}
"""


def _cache(folder: Path, temperature: float) -> None:
    rng = np.random.default_rng(0)
    scores = {f"u{n}": (3 * rng.normal(size=(n, 20))).astype(np.float32) for n in (4, 9, 2)}
    teacher = {"run": "dnn", "seed": 1, "sha256": "0" * 64}
    write_soft_targets(folder / "x.soft", scores.items(), temperature, teacher)


def _read_cache(folder: Path, temperature: float) -> Any:
    cache = open_cache(folder / "x.soft", temperature, 20)
    dense = cache.dense(np.arange(cache.header["frames"]))
    if not torch.isfinite(dense).all():
        raise AssertionError("targets that are no numbers")
    return dense


def _craft_cache(path: Path, content: bytes, seed: int) -> bytes:
    """Change the JSON header or the payload, and put both digests right."""
    (length,) = struct.unpack("<I", content[12:16])
    header = json.loads(content[FIXED : FIXED + length])
    payload = content[FIXED + length + -(FIXED + length) % 64 :]
    rng = random.Random(seed)
    if rng.random() < 0.5:
        payload = mutated(payload, seed)
        header["payload_bytes"] = len(payload)
    else:
        values = [-1, 0, 1, 2**31, 2**63, 1.5, None, "x", [], {}, True, [1, 2, 3], 15, 20]
        header[rng.choice(sorted(header))] = rng.choice(values)
        if rng.random() < 0.1:
            del header[rng.choice(sorted(header))]
    if "payload_sha256" in header and rng.random() < 0.95:
        header["payload_sha256"] = hashlib.sha256(payload).hexdigest()
    text = json.dumps(header).encode()
    if rng.random() < 0.3:
        text = mutated(text, seed)
    front = content[:12] + struct.pack("<I", len(text))
    body = text + bytes(-(FIXED + len(text)) % 64)
    return front + hashlib.sha256(front + body).digest() + body + payload


def _checkpoint(folder: Path) -> None:
    state = {"epoch": 3, "rows": [{"loss": 0.1}], "weights": {"w": torch.arange(3.0)}}
    save_checkpoint(folder / "state", {**state, "optimiser": {0: torch.zeros(2, 2)}})


def _craft_checkpoint(path: Path, content: bytes, seed: int) -> bytes:
    payload = _changed_zip(content[40:], seed)
    return content[:8] + hashlib.sha256(payload).digest() + payload


def _model(folder: Path) -> None:
    options = {"kind": "lstm", "layers": 1, "units": 4, "projection": 2}
    network = build_network(options, 3, 5, seed=1)
    meta = {"run": "rnn-0", "seed": 1}
    save_model(folder / "model.pt", network, options, torch.full((5,), -1.0), meta)


def _changed_zip(content: bytes, seed: int) -> bytes:
    """Change one member of a zip archive, or the archive's own fields."""
    rng = random.Random(seed)
    if rng.random() < 0.2:
        return mutated(content, seed)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: (info, archive.read(info)) for info in archive.infolist()}
    chosen = rng.choice(sorted(members))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, (info, data) in members.items():
            described = zipfile.ZipInfo(name)
            described.compress_type = info.compress_type
            data = _changed_member(data, seed) if name == chosen else data
            archive.writestr(described, data)
    return made.getvalue()


def _changed_member(data: bytes, seed: int) -> bytes:
    """Change bytes of a member; of an array often its numbers alone, so that it stays one."""
    rng = random.Random(seed)
    if data[:6] != b"\x93NUMPY" or rng.random() < 0.3:
        return mutated(data, seed)
    changed = bytearray(data)
    start = 10 + struct.unpack("<H", data[8:10])[0]
    for _ in range(rng.choice((1, 1, 4))):
        if start + 4 <= len(data):
            place = rng.randrange(start, len(data) - 3)
            value = rng.choice((0, 1, -1, 2, 7, 2**31 - 1, 0x7FC00000, rng.getrandbits(31)))
            changed[place : place + 4] = struct.pack("<i", value)
    return bytes(changed)


def _craft_sealed(path: Path, content: bytes, seed: int) -> bytes:
    """Change a sealed zip archive and seal it again."""
    changed = _changed_zip(content, seed)
    try:
        with zipfile.ZipFile(io.BytesIO(changed)) as archive:
            comment = len(archive.comment)
        changed = changed[: len(changed) - comment - 2] + b"\0\0"
        return sealed(changed)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        whole = changed[:-64] if len(changed) > 64 else changed
        return whole + hashlib.sha256(whole).hexdigest().encode()


def _hmm(folder: Path) -> None:
    model = tiny_model(width=3)
    model.transform = Transform("splice", left=1, right=1, matrix=np.ones((3, 9), dtype=np.float32))
    model.write(folder / "model.npz")


def _read_hmm(folder: Path) -> Any:
    model = HmmModel.read(folder / "model.npz")
    found = model.log_likelihoods(np.ones((4, model.mixtures.dimension), np.float32))
    return model.tuples, found.shape


def _lattices(folder: Path) -> None:
    arcs = np.zeros(4, ARC)
    rows = [(0, 1, 1, 0, 5), (0, 1, 2, 0, 5), (1, 2, 3, 5, 9), (2, 3, 0, 9, 9)]
    for arc, row in zip(arcs, rows, strict=True):
        for name, value in zip(("source", "target", "word", "start", "end"), row, strict=True):
            arc[name] = value
    lattice = Lattice(arcs, ("<eps>", "A", "B", "C"), 9, True, 0.1, 0.0, 5.0)
    write_lattices(folder / "lattices.npz", [("u1", lattice), ("u2", lattice)])


def _training_lattices(folder: Path) -> None:
    items = [(f"u{seed}", random_lattice(seed)) for seed in (1, 2)]
    write_training_lattices(folder / "lattices.npz", items, SEARCH)


def _read_training_lattices(folder: Path) -> Any:
    found = TrainingLattices(folder / "lattices.npz")
    return found.take(list(found.lengths))


def _toy(folder: Path) -> None:
    data = toy_data(0, 30)
    write_toy(folder / "toy.npz", data, toy_surfaces(data, points=2))


def _graph(folder: Path) -> None:
    make_graph(MODEL, LEXICON, estimate([["ONE", "TWO"], ["SIX"]], WORDS, 2, [1]), folder)


def _craft_listed(names: tuple[str, ...]) -> Callable[[Path, bytes, int], bytes]:
    def craft(path: Path, content: bytes, seed: int) -> bytes:
        content = mutated(content, seed)
        path.write_bytes(content)
        write_checksums(path.parent, names)
        return content

    return craft


def _vector_fst(folder: Path) -> None:
    _graph(folder)
    constant = kaldifst.StdConstFst.read(str(folder / "HCLG.fst"))
    kaldifst.StdVectorFst(constant).write(str(folder / "vector.fst"))


def _export(folder: Path) -> None:
    graph = folder / "graph"
    _graph(graph)
    options = {"kind": "dnn", "layers": 1, "units": 3, "splice": 0, "lda": None, "deltas": 0}
    network = build_network(options, 4, MODEL.num_pdfs, seed=1)
    priors = torch.zeros(MODEL.num_pdfs)
    save_model(folder / "model.pt", network, options, priors, {"run": "dnn", "seed": 1})
    tuning = {"acoustic_scale": 0.1, "beam": 11, "max_active": 9, "min_active": 2}
    tuning |= {"word_penalty": 0, "prior_scale": 1}
    samples = {"u": np.ones((3, 4), np.float32)}
    export_run(
        folder / "model.pt", graph, tuning, {}, 16000, np.ones((2, 5)), samples, folder / "run"
    )


SCORES = {"wer": 12.5, "total": {"errors": 3}, "list": [1, 2.5, None, "x"]}
TUNING = {
    "acoustic_scale": 0.1, "beam": 11.0, "max_active": 7000, "min_active": 200,
    "word_penalty": -0.5, "prior_scale": 1.0,
}  # fmt: skip
SILPROB = "<s> 0.5\n</s>_s 1.2\n</s>_n 0.8\noverall 0.2\n"
SEALED: dict[str, Reader] = {
    "archive": Reader(
        lambda f: write_archive(f / "x.scp", _arrays().items(), "a1b2"),
        lambda f: dict(Archive(f / "x.scp")),
        ("x.ark", "x.scp", "x.crc"),
    ),
    "soft targets": Reader(lambda f: _cache(f, 2.0), lambda f: _read_cache(f, 2.0), ("x.soft",)),
    "logits": Reader(
        lambda f: _cache(f, float("inf")), lambda f: _read_cache(f, float("inf")), ("x.soft",)
    ),
    "checkpoint": Reader(_checkpoint, lambda f: load_checkpoint(f / "state"), ("state",)),
    "network": Reader(_model, lambda f: load_network(f / "model.pt"), ("model.pt",)),
    "HMM": Reader(_hmm, _read_hmm, ("model.npz",)),
    "lattices": Reader(
        _lattices, lambda f: list(read_lattices(f / "lattices.npz")), ("lattices.npz",)
    ),
    "training lattices": Reader(_training_lattices, _read_training_lattices, ("lattices.npz",)),
    "toy": Reader(_toy, lambda f: read_toy(f / "toy.npz"), ("toy.npz",)),
    "graph": Reader(_graph, Graph, (*GRAPH_FILES, "SHA256SUMS")),
    "exported run": Reader(
        _export,
        lambda f: ExportedRun(f / "run"),
        tuple(f"run/{name}" for name in (*FILES, "SHA256SUMS")),
    ),
}
CRAFTS = {
    "archive": (_craft_archive, ("x.ark", "x.scp")),
    "soft targets": (_craft_cache, ("x.soft",)),
    "logits": (_craft_cache, ("x.soft",)),
    "checkpoint": (_craft_checkpoint, ("state",)),
    "network": (_craft_sealed, ("model.pt",)),
    "HMM": (_craft_sealed, ("model.npz",)),
    "lattices": (_craft_sealed, ("lattices.npz",)),
    "training lattices": (_craft_sealed, ("lattices.npz",)),
    "toy": (_craft_sealed, ("toy.npz",)),
    "graph": (_craft_listed(GRAPH_FILES), GRAPH_FILES),
    "exported run": (_craft_listed(FILES), tuple(f"run/{name}" for name in FILES)),
}
OPEN: dict[str, Reader] = {
    "archive from elsewhere": Reader(
        _foreign_archive, lambda f: dict(Archive(f / "x.scp", [f])), ("x.ark", "x.scp")
    ),
    "ARPA": Reader(_arpa, lambda f: read_arpa(f / "lm.arpa"), ("lm.arpa",)),
    "ARPA, packed": Reader(_packed_arpa, lambda f: read_arpa(f / "lm.arpa.gz"), ("lm.arpa.gz",)),
    "ARPA, packed anew": Reader(
        _packed_arpa, lambda f: read_arpa(f / "lm.arpa.gz"), ("lm.arpa.gz",), craft=_craft_gzip
    ),
    "lexicon": Reader(
        lambda f: _text(f, lexicon__txt="A AH\nA EY\nBEE B IY\n<UNK> SPN\n"),
        lambda f: read_lexicon(f / "lexicon.txt"),
        ("lexicon.txt",),
    ),
    "lexicon probabilities": Reader(
        lambda f: _text(
            f,
            lexiconp_silprob__txt="A 1.0 0.4 0.9 1.1 AH\nB 0.5 0.2 1 1 B IY\n",
            silprob__txt=SILPROB,
        ),
        read_lexicon_probabilities,
        ("lexiconp_silprob.txt", "silprob.txt"),
    ),  # fmt: skip
    "dictionary": Reader(
        lambda f: _text(f, dict__txt=";;; CMUdict\na AH0\na(2) EY1\nbee B IY1 # insect\n"),
        lambda f: read_dictionary(f / "dict.txt"),
        ("dict.txt",),
    ),
    "transcripts": Reader(
        lambda f: _text(f, x__trans__txt="1-2-3 ONE TWO\n1-2-4 SIX\n"),
        lambda f: list(read_transcripts(f / "x.trans.txt")),
        ("x.trans.txt",),
    ),
    "data directory": Reader(
        _data_directory, read_data_directory, ("wav.scp", "text", "utt2spk", "utt2cond", "utt2dur")
    ),
    "Kaldi directory": Reader(
        _kaldi_directory,
        _read_kaldi_directory,
        ("wav.scp", "segments", "text", "utt2spk", "utt2cond"),
    ),
    "trn": Reader(
        lambda f: _text(f, x__trn="ONE TWO (a-1)\n(b-2)\n"),
        lambda f: read_trn(f / "x.trn"),
        ("x.trn",),
    ),
    "ctm": Reader(
        lambda f: _text(f, x__ctm="a-1 1 0.00 0.52 ONE\na-1 1 0.52 0.10 TWO\n"),
        lambda f: (read_ctm(f / "x.ctm"), _read_ctm(f / "x.ctm"), _read_phones(f / "x.ctm")),
        ("x.ctm",),
    ),
    "phones": Reader(
        lambda f: PhoneTable.from_lexicon(LEXICON).write(f / "phones.txt"),
        lambda f: PhoneTable.read(f / "phones.txt"),
        ("phones.txt",),
    ),
    "sound": Reader(_sounds, _read_sounds, ("x.wav", "x.flac", "x.ogg")),
    "study": Reader(
        lambda f: _text(f, study__yaml=STUDY),
        lambda f: load_study(read_study(f / "study.yaml")),
        ("study.yaml",),
    ),
    "FST const": Reader(_graph, lambda f: read_fst(f / "HCLG.fst"), ("HCLG.fst",)),
    "FST vector": Reader(_vector_fst, lambda f: read_fst(f / "vector.fst"), ("vector.fst",)),
    "tuning": Reader(
        lambda f: write_json(f / "tuning.json", {**TUNING, "first_pass": TUNING}),
        lambda f: read_tuning(f / "tuning.json"),
        ("tuning.json",),
    ),
    "scores": Reader(
        lambda f: write_json(f / "score.json", SCORES),
        lambda f: (read_json(f / "score.json"), problem_of(f / "score.json")),
        ("score.json",),
    ),
    "mark of a problem": Reader(
        lambda f: write_json(f / "score.json", {"problem": "diverged"}),
        lambda f: problem_of(f / "score.json"),
        ("score.json",),
    ),
    "metrics": Reader(
        lambda f: write_jsonl(f / "metrics.jsonl", [{"epoch": 1, "loss": 0.5}] * 3),
        lambda f: read_jsonl(f / "metrics.jsonl"),
        ("metrics.jsonl",),
    ),
    "SHA256SUMS": Reader(
        lambda f: (_text(f, a="A"), write_checksums(f, ["a"])),
        lambda f: check_checksums(f, ["a"], "make it again"),
        ("a", "SHA256SUMS"),
    ),
}


def all_readers() -> Iterator[tuple[str, Reader]]:
    """Yield every reader with its name; those with checksums also with crafted contents."""
    for name, reader in SEALED.items():
        yield name, Reader(reader.make, reader.read, reader.files, sealed=True)
        craft, files = CRAFTS[name]
        yield f"{name}, crafted", Reader(reader.make, reader.read, files, craft=craft)
    yield from OPEN.items()


READERS = dict(all_readers())
