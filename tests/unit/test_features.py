import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from darkknowledge.archives import Archive
from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.feature_options import FbankOptions, FeatureOptions
from darkknowledge.features import (
    add_deltas,
    apply_cmvn,
    cmvn_statistics,
    extract,
    fbank,
    load_features,
    mfcc,
    splice,
)

RATE = 16000
CORPORA = os.environ.get("DARKKNOWLEDGE_CORPORA")
needs_corpora = pytest.mark.skipif(
    CORPORA is None, reason="DARKKNOWLEDGE_CORPORA is not set: no stored Kaldi features"
)


@pytest.fixture
def kaldi():
    reference = Path(CORPORA) / "reference" / "kaldi_features_1462-170138-0000.npz"
    audio = Path(CORPORA) / "LibriSpeech/dev-clean/1462/170138/1462-170138-0000.flac"
    wave, rate = soundfile.read(audio, dtype="int16")
    return np.load(reference), wave, rate


@needs_corpora
def test_mfcc_agrees_with_kaldi(kaldi):
    stored, wave, rate = kaldi
    ours = mfcc(wave, rate, FeatureOptions()).numpy()
    assert ours.dtype == np.float32
    assert np.abs(ours - stored["mfcc13"]).max() < 0.004  # of values up to 140
    assert np.abs(ours - stored["mfcc13"]).mean() < 3e-4


@needs_corpora
def test_fbank_agrees_with_kaldi(kaldi):
    stored, wave, rate = kaldi
    options = FeatureOptions(fbank=FbankOptions(low=20, window="povey"))
    difference = np.abs(fbank(wave, rate, options).numpy() - stored["fbank40"])
    assert difference.max() < 0.005  # in the empty bands of a compressed recording
    assert difference.mean() < 1e-4


@needs_corpora
def test_deltas_agree_with_kaldi(kaldi):
    stored, _, _ = kaldi
    assert np.abs(add_deltas(stored["mfcc13"]) - stored["mfcc13_deltas"]).max() < 1e-5


def test_a_tone_stands_in_its_filter():
    mel = 1127 * np.log1p(np.array([64.0, 8000.0]) / 700)
    centres = 700 * np.expm1((mel[0] + (mel[1] - mel[0]) / 41 * np.arange(1, 41)) / 1127)
    for bin_ in (10, 20, 30):
        wave = 8000 * np.sin(2 * np.pi * centres[bin_] * np.arange(RATE) / RATE)
        assert (fbank(wave, RATE, FeatureOptions()).numpy().argmax(axis=1) == bin_).all()


def test_number_of_frames():
    wave = np.random.default_rng(0).normal(0, 100, 400 + 160 * 7 + 159)
    assert mfcc(wave, RATE, FeatureOptions()).shape == (8, 13)
    assert fbank(wave, RATE, FeatureOptions()).shape == (8, 40)
    assert fbank(wave, RATE, FeatureOptions(snip_edges=False)).shape == (10, 40)


def test_deltas_of_a_ramp():
    ramp = np.stack([3.0 * np.arange(12), np.full(12, 5.0)], axis=1)
    deltas = add_deltas(ramp)
    assert deltas.shape == (12, 6)
    np.testing.assert_allclose(deltas[:, :2], ramp)
    np.testing.assert_allclose(deltas[2:-2, 2], 3.0, atol=1e-6)
    np.testing.assert_allclose(deltas[4:-4, 4], 0.0, atol=1e-6)
    np.testing.assert_allclose(deltas[:, [3, 5]], 0.0, atol=1e-6)
    # at the first frame: (1 * 3 + 2 * 6) / 10, the frames before it being repeats of it
    assert deltas[0, 2] == pytest.approx(1.5)


def test_splice_repeats_the_edges():
    x = np.arange(4.0)[:, None]
    expected = [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    np.testing.assert_array_equal(splice(x, 1, 1), expected)
    np.testing.assert_array_equal(splice(x, 2, 0)[0], [0, 0, 0])
    np.testing.assert_array_equal(splice(torch.arange(4.0)[:, None], 1, 1).numpy(), expected)


def test_cmvn_of_known_statistics():
    x = np.array([[1.0, 10.0], [3.0, 30.0]])
    stats = cmvn_statistics([x[:1], x[1:]])
    np.testing.assert_array_equal(stats, [[4, 40, 2], [10, 1000, 0]])
    np.testing.assert_allclose(apply_cmvn(x, stats), [[-1, -1], [1, 1]])
    np.testing.assert_allclose(apply_cmvn(x, stats, variance=False), [[-1, -10], [1, 10]])
    tensor = apply_cmvn(torch.from_numpy(x), stats)
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor.numpy(), [[-1, -1], [1, 1]])


def test_cmvn_refuses_what_it_cannot_do():
    x = np.array([[1.0, 7.0], [3.0, 7.0]])
    with pytest.raises(DataError, match="dimension 1 has no variance"):
        apply_cmvn(x, cmvn_statistics([x]))
    apply_cmvn(x, cmvn_statistics([x]), variance=False)
    with pytest.raises(DataError, match=r"shape \(2, 3\) for features of 3"):
        apply_cmvn(np.ones((2, 3)), cmvn_statistics([x]))
    with pytest.raises(DataError, match="no frame"):
        cmvn_statistics([])


def make_set(folder, waves, rate=RATE):
    folder.mkdir(parents=True, exist_ok=True)
    wav = {}
    for utterance, wave in waves.items():
        wav[utterance] = str(folder / f"{utterance}.wav")
        subtype = "FLOAT" if not np.isfinite(wave).all() else "PCM_16"
        soundfile.write(wav[utterance], wave, rate, subtype=subtype)
    return DataDirectory(
        wav=wav,
        text={u: ["WORD"] for u in wav},
        speaker={u: u.split("-")[0] for u in wav},
        condition={u: "01" for u in wav},
        duration={u: len(w) / rate for u, w in waves.items()},
    )


@pytest.fixture
def waves():
    noise = np.random.default_rng(1)
    return {f"s{i % 2}-u{i}": noise.normal(0, 0.1, 4000 + 700 * i) for i in range(5)}


def test_extract_and_load(tmp_path, waves):
    data = make_set(tmp_path / "audio", waves)
    extract(data, tmp_path / "f", {"dither": 0}, threads=1)
    assert dict(Archive(tmp_path / "f" / "mfcc.scp"))["s0-u0"].shape == (23, 13)
    raw = Archive(tmp_path / "f" / "fbank.scp")
    stored, _ = soundfile.read(data.wav["s1-u1"], dtype="int16")
    np.testing.assert_array_equal(raw["s1-u1"], fbank(stored, RATE, FeatureOptions()).numpy())
    stats = Archive(tmp_path / "f" / "cmvn_fbank.scp")
    assert list(stats) == ["s0", "s1"] and stats["s0"].shape == (2, 41)

    loaded = load_features(raw.path, stats.path, data.speaker)
    assert list(loaded) == sorted(waves)
    for speaker, utterances in data.speakers.items():
        everything = np.concatenate([loaded[u] for u in utterances])
        np.testing.assert_allclose(everything.mean(axis=0), 0, atol=1e-3, err_msg=speaker)
        np.testing.assert_allclose(everything.std(axis=0), 1, atol=1e-3)
    only = load_features(raw.path, None, {"s1-u1": "s1"})
    np.testing.assert_array_equal(only["s1-u1"], raw["s1-u1"])
    with pytest.raises(DataError, match="no features of utterance s9-u9"):
        load_features(raw.path, None, {"s9-u9": "s9"})
    with pytest.raises(DataError, match="no statistics of speaker s9"):
        load_features(raw.path, stats.path, {"s1-u1": "s9"})


def test_dither_fills_digital_silence(tmp_path, waves):
    waves["s0-u0"][1000:3000] = 0
    data = make_set(tmp_path / "audio", waves)
    lowest = {}
    for dither in (0, 1):
        extract(data, tmp_path / "f", {"dither": dither}, threads=1)
        lowest[dither] = Archive(tmp_path / "f" / "fbank.scp")["s0-u0"].min()
    assert lowest[0] < -15 and lowest[1] > -5


@pytest.mark.parametrize("dither", [0.0, 1.0])
def test_same_bytes_for_any_number_of_threads(tmp_path, waves, dither):
    data = make_set(tmp_path / "audio", waves)
    found = []
    for threads in (1, 3):
        extract(data, tmp_path / "f", {"dither": dither}, threads)
        found.append({p.name: p.read_bytes() for p in sorted((tmp_path / "f").iterdir())})
    assert found[0] == found[1]
    assert len(found[0]) == 12


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (np.zeros(8000), "utterance s0-bad is constant"),
        (np.full(8000, 0.25), "utterance s0-bad is constant"),
        (np.linspace(-0.1, 0.1, 399), "399 samples at 16000 Hz, less than one frame"),
        (np.r_[np.linspace(-0.1, 0.1, 4000), np.nan], "holds a NaN"),
        (np.random.default_rng(0).normal(0, 0.1, (4000, 2)), "2 channels"),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_bad_audio_is_named(tmp_path, waves, wave, message, threads):
    data = make_set(tmp_path / "audio", waves | {"s0-bad": wave})
    with pytest.raises(DataError, match=message):
        extract(data, tmp_path / "f", {}, threads)
    assert not list((tmp_path / "f").glob("*.scp"))


def test_other_rate_and_lost_file_are_named(tmp_path, waves):
    data = make_set(tmp_path / "audio", waves)
    soundfile.write(data.wav["s1-u3"], waves["s1-u3"], 8000)
    with pytest.raises(DataError, match="s1-u3 is sampled at 8000 Hz.*16000 Hz: resample"):
        extract(data, tmp_path / "f", {})
    Path(data.wav["s1-u3"]).unlink()
    with pytest.raises(DataError, match="s1-u3 cannot be read"):
        extract(data, tmp_path / "f", {})


def test_mel_range_beyond_nyquist_is_named(tmp_path, waves):
    data = make_set(tmp_path / "audio", waves)
    with pytest.raises(DataError, match=r"no fbank of utterance s0-u0.*features\.fbank"):
        extract(data, tmp_path / "f", {"fbank": {"high": 9000}}, kinds=["fbank"])
