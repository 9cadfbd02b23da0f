"""Alignments on disk: what failed, times that fit frames, and files that fit each other."""

import logging
import re

import numpy as np
import pytest

from darkknowledge.archives import Archive, write_archive
from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.features import cmvn_statistics
from darkknowledge.hmm.align import Aligner, equal_alignment
from darkknowledge.hmm.alignment_check import check_alignments
from darkknowledge.hmm.ctm import ctm_lines, time_digits
from darkknowledge.hmm.model import Transform
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.hmm.stages import align_set
from tests.hmm_toys import LEXICON, SIZE, tiny_model

TEXT = {"u1": ["A", "B"], "u2": ["B", "zebra", "A"], "u3": ["B"], "u4": ["A"]}


def spoken(model, names):
    """Four frames at the mean of each state of a phone sequence."""
    phones = [model.phones.id(name) for name in names.split()]
    pdfs = [model.pdf((p,), s) for p in phones for s in range(model.num_states(p))]
    return np.repeat(model.mixtures.means[pdfs], 4, axis=0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    model = tiny_model()
    model.transform = Transform("splice")
    features = {
        "u1": spoken(model, "SIL X_S SIL Z_B X_I Y_E SIL"),
        "u2": spoken(model, "Z_B X_I Y_E SPN Y_B Z_E"),
        "u3": np.zeros((5, SIZE), np.float32),  # too short for its word
        "u4": spoken(model, "SIL Y_B Z_E"),
    }
    write_archive(folder / "mfcc.scp", features.items())
    zero = cmvn_statistics([np.ones((1, SIZE)), -np.ones((1, SIZE))])
    write_archive(folder / "cmvn.scp", [("s", zero)])
    data = DataDirectory(
        dict.fromkeys(TEXT, "none.wav"),
        TEXT,
        dict.fromkeys(TEXT, "s"),
        dict.fromkeys(TEXT, "01"),
        {u: len(features[u]) / 100 for u in TEXT},
    )
    return folder, model, data


def align(corpus, folder, options=None, **named):
    source, model, data = corpus
    allowed = {"allowed_failures": 0.5, **(options or {})}
    scps = source / "mfcc.scp", source / "cmvn.scp"
    return align_set(model, data, *scps, LEXICON, folder, {"alignment": allowed}, **named)


@pytest.fixture
def aligned(corpus, tmp_path):
    align(corpus, tmp_path)
    return tmp_path


def test_failures_are_listed_and_counted(corpus, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert align(corpus, tmp_path) == ["u3"]
    assert (tmp_path / "failed.txt").read_text() == "u3\n"
    for name in ("pdf", "transition"):
        assert list(Archive(tmp_path / f"{name}.scp")) == ["u1", "u2", "u4"]
    for name in ("phones", "words"):
        assert not re.search("^u3 ", (tmp_path / f"{name}.ctm").read_text(), re.MULTILINE)
    assert "aligned 3 utterances, 0 with the wider beam, 1 failed" in caplog.text
    assert "1 of 7 words are not in the lexicon" in caplog.text


def test_second_attempts_are_counted(corpus, tmp_path, caplog, monkeypatch):
    class Twice(Aligner):
        def __call__(self, graph, features):
            found, attempts = super().__call__(graph, features)
            return found, 2 if len(features) > 50 else attempts

    monkeypatch.setattr("darkknowledge.hmm.shard.Aligner", Twice)
    with caplog.at_level(logging.INFO):
        align(corpus, tmp_path)
    assert "aligned 3 utterances, 2 with the wider beam, 1 failed" in caplog.text


def test_sound_alignments_pass(corpus, aligned):
    source, _, data = corpus
    frames = sum(len(Archive(source / "mfcc.scp")[u]) for u in ("u1", "u2", "u4"))
    assert check_alignments(aligned, source / "mfcc.scp", data.text) == frames
    rows = [line.split() for line in (aligned / "words.ctm").read_text().splitlines()]
    assert [(u, word) for u, *_, word in rows] == [
        (u, word) for u in ("u1", "u2", "u4") for word in TEXT[u]
    ]
    # silence has five states and speech three, each of four frames
    assert [row[2:4] for row in rows[:2]] == [["0.20", "0.12"], ["0.52", "0.36"]]


@pytest.mark.parametrize("shift", [0.005, 0.0125, 0.016, 0.01])
def test_times_fit_any_frame_shift(corpus, tmp_path, shift):
    source, _, data = corpus
    align(corpus, tmp_path, frame_shift=shift)
    check_alignments(tmp_path, source / "mfcc.scp", data.text, shift)
    last = (tmp_path / "phones.ctm").read_text().split("\nu2")[0].splitlines()[-1].split()
    frames = len(Archive(source / "mfcc.scp")["u1"])
    assert float(last[2]) + float(last[3]) == pytest.approx(frames * shift, abs=1e-9)
    if shift != 0.01:
        with pytest.raises(DataError, match="u1"):
            check_alignments(tmp_path, source / "mfcc.scp", data.text)


def test_decimals_of_times():
    assert [time_digits(s) for s in (0.01, 0.1, 0.005, 0.0125, 1 / 300)] == [2, 2, 3, 4, 6]


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("failed.txt", "u3\n", "", "neither pdf.scp nor failed.txt holds u3;"),
        ("failed.txt", "u3\n", "u3\nu4\n", "failed.txt and pdf.scp both hold u4;"),
        ("failed.txt", "u3\n", "u3\nu8\nu9\n", "the set has no u8 and 1 more;"),
        ("phones.ctm", "u1 1 0.20 0.12 X_S", "u1 1 0.21 0.11 X_S", "u1: phone 2, X_S, starts at"),
        ("phones.ctm", "u4 1 0.32 0.12 Z_E\n", "", "u4: phones.ctm ends at 0.32 s .* 0.44 s"),
        ("phones.ctm", "u1 1 0.20 0.12 X_S", "u1 0.20 0.12 X_S", "phones.ctm:2: .*expected"),
        ("words.ctm", "0.12 A", "0.12 C", "u1: words.ctm has 'C B' and the transcript 'A B'"),
        ("words.ctm", "0.20 0.12 A", "0.22 0.10 A", "u1: A from 0.22 to 0.32 s does not begin"),
        ("words.ctm", "0.20 0.12 A", "0.00 0.32 A", "u1: A from 0 to 0.32 s .* holds silence"),
        ("words.ctm", "u4 1 0.20 0.24 A", "u4 1 0.20 0.12 A", "u4: some phones belong to no word"),
    ],
)
def test_files_that_disagree_are_refused(corpus, aligned, name, old, new, message):
    source, _, data = corpus
    change(aligned / name, old, new)
    with pytest.raises(DataError, match=message):
        check_alignments(aligned, source / "mfcc.scp", data.text)


def test_other_features_are_refused_by_utterance(corpus, aligned, tmp_path_factory):
    source, _, data = corpus
    folder = tmp_path_factory.mktemp("other")
    features = dict(Archive(source / "mfcc.scp"))
    features["u2"] = features["u2"][:-1]
    write_archive(folder / "mfcc.scp", features.items())
    with pytest.raises(DataError, match="u2 has 80 pdfs and 79 feature frames"):
        check_alignments(aligned, folder / "mfcc.scp", data.text)
    del features["u2"]
    write_archive(folder / "mfcc.scp", features.items())
    with pytest.raises(DataError, match="u2 is aligned and has no features"):
        check_alignments(aligned, folder / "mfcc.scp", data.text)
    (aligned / "failed.txt").unlink()
    with pytest.raises(DataError, match=r"failed.txt: no such file"):
        check_alignments(aligned, source / "mfcc.scp", data.text)


def test_spoken_noise_inside_a_pronunciation_is_refused(tmp_path):
    # without word position it would look like a word of its own
    path = tmp_path / "lexicon.txt"
    for line in ("A X SPN", "A SPN X"):
        path.write_text(f"{line}\n")
        with pytest.raises(DataError, match="lexicon.txt:1: SPN inside the pronunciation of A"):
            read_lexicon(path)
    path.write_text("A X\nNOISE SPN\n")
    assert read_lexicon(path)["NOISE"] == [("SPN",)]


def test_words_are_spelt_as_in_the_transcript(corpus):
    _, model, _ = corpus
    names = "Z_B X_I Y_E SPN SIL X_S"
    phones = np.array([model.phones.id(name) for name in names.split()])
    found = equal_alignment(model, phones, 60)
    _, words = ctm_lines(model, {"u": ["B", "zebra", "A"]}, {"u": found})
    assert [line.split()[-1] for line in words] == ["B", "zebra", "A"]
