"""Deployment: ONNX graphs give the posteriors of the networks, the folder recognises speech."""

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile

from darkknowledge.deploy.audio import cut, read_audio
from darkknowledge.deploy.folder import ExportedRun
from darkknowledge.deploy.onnx_graph import INPUT, check_stands_alone, onnx_graph
from darkknowledge.deploy.transcription import (
    SpokenWord,
    as_ctm,
    as_json,
    as_srt,
    as_text,
    confidences,
)
from darkknowledge.errors import DataError
from darkknowledge.lattices.paths import ARC, Lattice
from darkknowledge.networks.registry import build_network, log_posteriors
from darkknowledge.transcribe import exported_folder

NETWORKS = {
    "dnn": {"kind": "dnn", "layers": 2, "units": 9, "splice": 2, "lda": None},
    "relu": {"kind": "dnn", "layers": 2, "units": 9, "splice": 0, "lda": 3, "activation": "relu"},
    "lstm": {"kind": "lstm", "layers": 2, "units": 9, "projection": 4, "delay": 3},
    "plain": {"kind": "lstm", "layers": 1, "units": 9, "projection": None, "delay": 0},
    "blstm": {"kind": "blstm", "layers": 2, "units": 7},
    "clipped": {
        "kind": "blstm", "units": 7, "splice": 1, "below": [6], "above": [5, 4], "cell_clip": 0.1,
        "bias": False,
    },
    **{
        gates: {"kind": "highway", "layers": 4, "units": 8, "splice": 1, "gates": gates}
        for gates in ("both", "constrained", "transform", "carry")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_gives_the_same_posteriors(name):
    network = build_network(NETWORKS[name], 4, 6, 1).eval()
    rng = np.random.default_rng(0)
    for buffer in ("shift", "scale", "lda_matrix", "lda_offset"):
        if hasattr(network, buffer):
            value = getattr(network, buffer)
            value += 0.3 * value.new_tensor(rng.normal(size=value.shape))
    session = onnxruntime.InferenceSession(
        onnx_graph(network).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for frames in (1, 2, 40):
        features = rng.normal(size=(frames, 4)).astype(np.float32)
        (found,) = session.run(None, {INPUT: features})
        np.testing.assert_allclose(found, log_posteriors(network, features), atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_is_the_same_bytes_each_time(name):
    one, other = (
        onnx_graph(build_network(NETWORKS[name], 4, 6, 1)).SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert one == other


def tone(seconds, rate, hertz=440.0):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def test_audio_of_any_kind(tmp_path, caplog):
    wave = tone(1.0, 44100)
    messy = np.stack([wave + 0.2, np.zeros_like(wave)], 1)
    messy[5, 1] = np.nan
    soundfile.write(tmp_path / "messy.wav", messy, 44100, subtype="FLOAT")
    found = read_audio(tmp_path / "messy.wav", 16000)
    assert len(found) == 16000 and found.dtype == np.float32
    expected = 0.5 * 32768 * tone(1.0, 16000)
    inner = slice(400, -400)  # the filter of the resampler has edges
    np.testing.assert_allclose(found[inner], expected[inner], atol=120)
    soundfile.write(tmp_path / "narrow.flac", tone(0.5, 8000), 8000)
    with caplog.at_level("WARNING", logger="darkknowledge"):
        assert len(read_audio(tmp_path / "narrow.flac", 16000)) == 8000


def test_unreadable_audio_is_named(tmp_path):
    (tmp_path / "a.wav").write_text("no audio")
    with pytest.raises(DataError, match=r"a\.wav: cannot be read as audio"):
        read_audio(tmp_path / "a.wav", 16000)
    with pytest.raises(DataError, match="cannot be read as audio"):
        read_audio(tmp_path / "absent.wav", 16000)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    with pytest.raises(DataError, match=r"empty\.wav: .*no samples"):
        read_audio(tmp_path / "empty.wav", 16000)


def test_long_recordings_are_cut_in_their_pauses():
    rate = 1000
    rng = np.random.default_rng(0)
    wave = rng.normal(size=100 * rate)
    for pause in (10, 20, 41, 65, 66):
        wave[pause * rate : pause * rate + rate // 2] *= 0.01
    parts = cut(wave, rate)
    assert parts[0].start == 0 and parts[-1].stop == len(wave)
    starts = [part.start / rate for part in parts]
    assert all(one.stop == other.start for one, other in itertools.pairwise(parts))
    assert all(part.stop - part.start <= 30 * rate for part in parts)
    assert starts[1:4] == pytest.approx([20.25, 41.25, 66.25], abs=0.2)
    assert cut(wave[: 29 * rate], rate) == [slice(0, 29 * rate)]
    assert all(part.stop > part.start for part in cut(np.zeros(95 * rate), rate))


SAID = [
    SpokenWord("A", 0.0, 1.0),
    SpokenWord("LONG", 1.0, 3.5),
    SpokenWord("WORD", 3.5, 5.5),
    SpokenWord("LATER", 3661.25, 3662.0),
]


def test_formats():
    assert as_text([("x.wav", SAID[:2])]) == "A LONG\n"
    assert as_text([("x.wav", SAID[:2]), ("y.wav", [])]) == "x.wav: A LONG\ny.wav: \n"
    assert as_ctm([("some/x.wav", SAID[1:2])]) == "x 1 1.00 2.50 LONG\n"
    sure = SpokenWord("A", 0.0, 1.0, 0.9876)
    assert as_ctm([("x.wav", [sure])]) == "x 1 0.00 1.00 A 0.988\n"
    assert as_json([("x.wav", [sure])]) == [
        {
            "file": "x.wav",
            "text": "A",
            "words": [{"word": "A", "start": 0.0, "end": 1.0, "confidence": 0.9876}],
        }
    ]
    assert as_srt([("x.wav", SAID)]) == (
        "1\n00:00:00,000 --> 00:00:03,500\nA LONG\n\n"
        "2\n00:00:03,500 --> 00:00:05,500\nWORD\n\n"
        "3\n01:01:01,250 --> 01:01:02,000\nLATER\n\n"
    )
    with pytest.raises(DataError, match="srt is of one recording; 2 were given"):
        as_srt([("x.wav", SAID), ("y.wav", SAID)])


def test_confidences_are_shares_of_the_paths():
    # A or B over frames 0 to 5, C after it; A also a frame later
    rows = [(0, 1, 1, 0, 5), (0, 1, 2, 0, 5), (0, 2, 1, 1, 5), (1, 3, 3, 5, 9), (2, 3, 3, 5, 9)]
    arcs = np.zeros(6, ARC)
    weights = [0.5, 0.3, 0.2, 1.0, 1.0, 1.0]
    for arc, row in zip(arcs, [*rows, (3, 4, 0, 9, 9)], strict=True):
        for name, value in zip(("source", "target", "word", "start", "end"), row, strict=True):
            arc[name] = value
    arcs["graph"] = -np.log(weights)
    arcs["acoustic"] = 7.0
    arcs["acoustic"][3:] = 0.0
    lattice = Lattice(arcs, ("<eps>", "A", "B", "C"), 9, True, 0.1, 0.0, 5.0)
    assert confidences(lattice, ["A", "C"], [0, 5], [5, 9]) == pytest.approx([0.7, 1.0])
    assert confidences(lattice, ["B"], [0], [5]) == pytest.approx([0.3])


def test_an_absent_export_is_named_with_its_command(tmp_path):
    run = tmp_path / "results" / "tiny" / "networks" / "dnn" / "seed1"
    with pytest.raises(DataError, match="--cores 2 results/tiny/export/dnn/seed1/recogniser.json"):
        exported_folder(run)
    with pytest.raises(DataError, match="no exported run"):
        exported_folder(tmp_path)
    folder = tmp_path / "results" / "tiny" / "export" / "dnn" / "seed1"
    folder.mkdir(parents=True)
    (folder / "recogniser.json").write_text("{}")
    assert exported_folder(run) == folder == exported_folder(folder)
    with pytest.raises(DataError, match="SHA256SUMS: no such file; export the run once more"):
        ExportedRun(folder)


def test_a_network_cannot_name_other_files(tmp_path):
    network = build_network({"kind": "dnn", "layers": 1, "units": 2, "lda": None}, 3, 4, 0)
    model = onnx_graph(network)
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    check_stands_alone(path)
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="other")
    with pytest.raises(ValueError, match="another file"):
        check_stands_alone(path)
