"""LibriSpeech's layout: sets, the door, noise by source, lexicon and text."""

import os
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from darkknowledge.corpora import checks, librispeech, make_language, make_set
from darkknowledge.corpora.checks import Door, Fault, longest_run, read_audio
from darkknowledge.corpora.normalise import normalise, number_words, ordinal_words, sentences
from darkknowledge.corpora.options import LibrispeechOptions
from darkknowledge.datadir import read_data_directory
from darkknowledge.errors import DataError
from darkknowledge.sound import read_samples

CLASSES = tuple("abcdef")
SPEAKERS = {"11": 4, "12": 4, "21": 3, "31": 3, "4": 3}


def sound(seconds=1.2, rate=16000, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))


@pytest.fixture
def root(tmp_path):
    words = "THE CAT SAT ON A MAT".split()
    for speaker, count in SPEAKERS.items():
        folder = tmp_path / "speech" / speaker / "900"
        folder.mkdir(parents=True)
        lines = []
        for number in range(count):
            name = f"{speaker}-900-{number:04d}"
            soundfile.write(folder / f"{name}.flac", sound(seed=number), 16000)
            lines.append(f"{name} {' '.join(words[: 3 + number])}")
        (folder / f"{speaker}-900.trans.txt").write_text("\n".join(lines) + "\n")
    for name in CLASSES:
        folder = tmp_path / "noise" / name
        folder.mkdir(parents=True)
        for fold in range(1, 6):
            data = np.pad(sound(0.5, 44100, fold), (0, 9000))
            soundfile.write(folder / f"{fold}-77-A.wav", data, 44100)
    (tmp_path / "dictionary").write_text(
        "a AH0\na(2) EY1\ncat K AE1 T\nmat M AE1 T\non AA1 N # preposition\nsat S AE1 T\n"
        "the DH AH0\nthe(2) DH IY0\nthe(3) DH AH1\ndog D AO1 G\nold OW1 L D\n"
    )
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "book.txt").write_text("The old dog sat.  A dog! The zyzzyva sat on it.\n")
    return tmp_path


def corpus(root, **more):
    return {
        "kind": "librispeech",
        "data_root": str(root),
        "speech": "speech",
        "noise": "noise",
        "noise_classes": CLASSES,
        "dictionary": "dictionary",
        "lm_text": ("text",),
        "dev_speakers": ("21",),
        "test_speakers": ("31", "4"),
        "dev_utterances": 3,
        "test_utterances": 4,
    } | more


def flac(root, speaker="11", number=0):
    return root / "speech" / speaker / "900" / f"{speaker}-900-{number:04d}.flac"


def test_the_sets(root, tmp_path):
    for name in ("train", "dev", "test"):
        make_set(corpus(root), name, tmp_path / "data" / name)
    train, dev, test = (
        read_data_directory(tmp_path / "data" / n) for n in ("train", "dev", "test")
    )
    assert set(train.speakers) == {"11", "12"} and len(train.wav) == 8
    assert set(dev.speakers) == {"21"} and set(test.speakers) == {"31", "4"}
    assert Counter(test.condition.values()) == {f"{n:02d}": 4 for n in range(1, 15)}
    assert Counter(u[:-4] for u in test.wav).most_common()[-1][1] == 14
    assert Counter(s for u, s in test.speaker.items() if u.endswith("c01")) == {"31": 2, "4": 2}
    for data in (train, dev, test):
        assert list(data.wav) == sorted(data.wav)
        for utterance, path in data.wav.items():
            assert soundfile.info(path).samplerate == 16000
            assert data.duration[utterance] == pytest.approx(1.2)
    assert not (tmp_path / "data" / "train" / "skipped.txt").exists()


def test_clean_speech_is_the_recording_itself(root, tmp_path):
    make_set(corpus(root), "test", tmp_path / "test")
    data = read_data_directory(tmp_path / "test")
    name = next(u for u in data.wav if u.endswith("-c01"))
    recorded, _ = soundfile.read(data.wav[name])
    source, _ = soundfile.read(flac(root, data.speaker[name], int(name.split("-")[2])))
    power = [np.abs(np.fft.rfft(x)[1000:8000]) for x in (recorded, source)]
    assert np.corrcoef(*power)[0, 1] > 0.99


def plain(root, **more):
    """A corpus without noise, with a lexicon of its own."""
    (root / "lexicon.txt").write_text(
        "THE DH AH\nCAT K AE T\nSAT S AE T\nON AA N\nA AH\nMAT M AE T\n"
    )
    return corpus(root, noise=None, lexicon="lexicon.txt", dictionary="nowhere") | more


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_without_noise_every_utterance_is_there_once_as_it_was_recorded(root, tmp_path, name):
    options = plain(root, test_max_seconds=1.0, dev_utterances=1, test_utterances=2)
    make_set(options, name, tmp_path / name)
    data = read_data_directory(tmp_path / name)
    speakers = {"train": ("11", "12"), "dev": ("21",), "test": ("31", "4")}[name]
    expected = [f"{s}-900-{n:04d}" for s in speakers for n in range(SPEAKERS[s])]
    assert list(data.wav) == sorted(expected)
    assert set(data.condition.values()) == {"01"}
    assert all(data.speaker[u] == u.split("-")[0] for u in data.wav)
    assert all(Path(data.wav[u]) == flac(root, u.split("-")[0], int(u[-4:])) for u in data.wav)
    assert list((tmp_path / name / "audio").iterdir()) == []


def test_a_set_that_loses_its_noise_loses_its_audio(root, tmp_path):
    make_set(corpus(root), "dev", tmp_path / "dev")
    assert any((tmp_path / "dev" / "audio").iterdir())
    make_set(plain(root), "dev", tmp_path / "dev")
    assert not any((tmp_path / "dev" / "audio").iterdir())
    assert len(read_data_directory(tmp_path / "dev").wav) == SPEAKERS["21"]


def test_the_door_is_the_same_without_noise(root, tmp_path):
    soundfile.write(flac(root), sound(rate=8000), 8000)
    with pytest.raises(DataError, match="1 faults .rate 1"):
        make_set(plain(root), "train", tmp_path / "train")
    make_set(plain(root, skip=("rate",)), "train", tmp_path / "train")
    assert len(read_data_directory(tmp_path / "train").wav) == 7


def test_a_lexicon_that_is_given_is_used_as_it_is(root, tmp_path):
    options = plain(root, skip=("no_pronunciation",))
    (root / "lexicon.txt").write_text("CAT K AE T\nA AH\nA EY\nSAT S AE T\nZZZ Z\n")
    make_language(options, tmp_path / "lang")
    written = (tmp_path / "lang" / "lexicon.txt").read_bytes()
    assert written == (root / "lexicon.txt").read_bytes()
    text = (tmp_path / "lang" / "lm_text.txt").read_text().splitlines()
    assert text[1] == "A <UNK>" and text[3] == "<UNK> CAT SAT"
    make_set(options, "train", tmp_path / "train")
    lines = (tmp_path / "train" / "skipped.txt").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["MAT", "ON", "THE"]
    make_language(options | {"arpa": "dictionary"}, tmp_path / "other")
    assert not (tmp_path / "other" / "lm_text.txt").exists()
    assert (tmp_path / "other" / "lexicon.txt").read_bytes() == written


def test_words_outside_the_lexicon_stop_unless_they_are_skipped(root, tmp_path):
    options = plain(root)
    (root / "lexicon.txt").write_text("THE DH AH\n")
    for make in (
        lambda: make_set(options, "dev", tmp_path / "dev"),
        lambda: make_language(options, tmp_path / "lang"),
    ):
        with pytest.raises(DataError, match="no_pronunciation"):
            make()


def test_only_what_is_used_must_be_there(root):
    given = LibrispeechOptions(**plain(root, arpa="lm.arpa.gz", lm_text=("nowhere",)))
    (problem,) = given.problems(root)
    assert problem.startswith("arpa:") and str(root / "lm.arpa.gz") in problem
    (root / "lm.arpa.gz").write_bytes(b"")
    assert given.problems(root) == []


def damage(root, kind):
    """Put one fault of a kind into the training set; return what the message must name."""
    path = flac(root)
    transcript = path.parent / "11-900.trans.txt"
    if kind == "missing":
        path.unlink()
        os.symlink(root / "nowhere.flac", path)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "unreadable":
        path.write_bytes(b"this is no audio" * 100)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:9000])
    elif kind == "nan":
        data = sound()
        data[77] = np.nan
        path.unlink()
        soundfile.write(path.with_suffix(".wav"), data, 16000, "FLOAT")
        path = path.with_suffix(".wav")
    elif kind == "silent":
        soundfile.write(path, np.zeros(20000), 16000)
    elif kind == "clipped":
        soundfile.write(path, np.clip(50 * sound(), -1, 1), 16000)
    elif kind == "rate":
        soundfile.write(path, sound(rate=8000), 8000)
    elif kind == "channels":
        soundfile.write(path, np.stack([sound(), sound(seed=5)], 1), 16000)
    elif kind == "length":
        soundfile.write(path, sound(0.3), 16000)
    elif kind == "no_audio":
        path.unlink()
        return path.stem
    elif kind == "no_transcript":
        lines = transcript.read_text().splitlines()
        transcript.write_text("\n".join(lines[1:]) + "\n")
    elif kind == "duplicate":
        transcript.write_text(transcript.read_text() + f"{path.stem} THE CAT\n")
        return path.stem
    elif kind == "no_pronunciation":
        transcript.write_text(transcript.read_text().replace("THE CAT", "THE AARDVARK", 1))
        return "AARDVARK"
    return path.name


@pytest.mark.parametrize("kind", checks.KINDS)
def test_each_fault_stops_and_is_named_with_its_mend(root, tmp_path, kind):
    named = damage(root, kind)
    with pytest.raises(DataError) as caught:
        make_set(corpus(root), "train", tmp_path / "train")
    message = str(caught.value)
    assert f"1 faults ({kind} 1)" in message and named in message
    assert checks._MENDS[kind] in message
    assert not (tmp_path / "train" / "wav.scp").exists()


@pytest.mark.parametrize("kind", checks.KINDS)
def test_each_fault_is_skipped_where_configured_counted_and_listed(root, tmp_path, kind, caplog):
    named = damage(root, kind)
    with caplog.at_level("WARNING", "darkknowledge"):
        make_set(corpus(root, skip=(kind,)), "train", tmp_path / "train")
    lines = (tmp_path / "train" / "skipped.txt").read_text().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"{kind}\t") and named in lines[0]
    kept = len(read_data_directory(tmp_path / "train").wav)
    assert kept == (8 if kind in ("duplicate", "no_pronunciation") else 7)
    if kind != "clipped":
        assert f"{kind} 1" in caplog.text
    with pytest.raises(DataError):
        make_set(
            corpus(root, skip=tuple(k for k in checks.KINDS if k != kind)), "train", tmp_path / "t"
        )


def test_all_faults_are_reported_at_once(root, tmp_path):
    flac(root, "11", 1).write_bytes(b"")
    flac(root, "12", 2).unlink()
    soundfile.write(flac(root, "12", 0), sound(rate=8000), 8000)
    damage(root, "no_pronunciation")
    with pytest.raises(DataError) as caught:
        make_set(corpus(root, skip=("rate",)), "train", tmp_path / "train")
    message = str(caught.value)
    assert "3 faults (empty 1, no_audio 1, no_pronunciation 1)" in message
    assert all(name in message for name in ("11-900-0001", "12-900-0002", "AARDVARK"))
    assert "rate:" not in message


def test_more_than_twenty_faults_are_counted():
    door = Door("here")
    door.add(*(Fault("empty", f"file{n}", "0 bytes") for n in range(33)))
    with pytest.raises(DataError, match="33 faults") as caught:
        door.close()
    assert str(caught.value).count("file") >= 20 and "and 13 more" in str(caught.value)


def test_a_list_of_nothing_is_removed(tmp_path, caplog):
    report = tmp_path / "skipped.txt"
    report.write_text("old\n")
    Door("here", ["empty"]).close(report)
    assert not report.exists() and not caplog.text


@pytest.mark.parametrize(
    ("suffix", "share"), [("wav", 0.5), ("ogg", 0.5), ("flac", 0.5), ("flac", 0.98)]
)
def test_a_file_cut_short_is_truncated(tmp_path, suffix, share):
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, sound(2.0), 16000)
    samples, faults = read_audio(path)
    assert len(samples) == 32000 and not faults
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    samples, faults = read_audio(path)
    assert samples is None and [f.kind for f in faults] == ["truncated"]


def test_a_wav_header_alone_is_empty(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros(0), 16000)
    assert [f.kind for f in read_audio(path)[1]] == ["empty"]


def test_several_faults_of_one_file(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros((800, 2)), 8000)
    kinds = {f.kind for f in read_audio(path, seconds=(1, 2))[1]}
    assert kinds == {"channels", "rate", "silent", "length"}


def test_single_full_scale_samples_are_no_clipping(tmp_path):
    data = sound()
    data[[100, 900]] = 1.0
    path = tmp_path / "x.wav"
    soundfile.write(path, data, 16000)
    assert read_audio(path)[1] == []
    data[200:212] = -1.0
    soundfile.write(path, data, 16000)
    assert [f.kind for f in read_audio(path)[1]] == ["clipped"]


def test_longest_run():
    assert longest_run(np.array([0, 1, 1, 0, -1, -1, -1, 1.0])) == 3
    assert longest_run(np.zeros(5)) == 0
    assert longest_run(np.ones(4)) == 4


def test_audio_of_a_transcript_in_another_speakers_folder(root, tmp_path):
    folder = flac(root).parent
    soundfile.write(folder / "99-1-0000.flac", sound(), 16000)
    with (folder / "11-900.trans.txt").open("a") as file:
        file.write("99-1-0000 THE CAT\n")
    with pytest.raises(DataError, match="99-1-0000.*speaker 11"):
        make_set(corpus(root), "train", tmp_path / "train")


def test_speakers_that_are_not_there_are_named(root, tmp_path):
    with pytest.raises(DataError, match="dev_speakers.*77.*11, 12, 21, 31, 4"):
        make_set(corpus(root, dev_speakers=("77",)), "dev", tmp_path / "dev")


def test_too_few_test_utterances(root, tmp_path):
    with pytest.raises(DataError, match="have 6 utterances.*test_utterances: 7"):
        make_set(corpus(root, test_utterances=7), "test", tmp_path / "test")


def test_a_class_without_recordings_for_a_set(root, tmp_path):
    (root / "noise" / "c" / "5-77-A.wav").unlink()
    with pytest.raises(DataError, match="none of its 4 recordings is for the test set"):
        make_set(corpus(root), "test", tmp_path / "test")
    (root / "noise" / "c" / "5-77-A.wav").write_bytes(b"")
    with pytest.raises(DataError, match="1 faults.*empty"):
        make_set(corpus(root), "test", tmp_path / "test")


def test_the_language(root, tmp_path):
    make_language(corpus(root, text_words=3), tmp_path / "lang")
    lexicon = (tmp_path / "lang" / "lexicon.txt").read_text().splitlines()
    assert lexicon[0] == "<UNK> SPN"
    assert [line for line in lexicon if line.startswith("THE ")] == ["THE DH AH", "THE DH IY"]
    assert {line.split()[0] for line in lexicon} == {
        *("<UNK>", "A", "CAT", "DOG", "MAT", "ON", "SAT", "THE")
    }
    text = (tmp_path / "lang" / "lm_text.txt").read_text().splitlines()
    assert text[:3] == ["THE <UNK> DOG SAT", "A DOG", "THE <UNK> SAT ON <UNK>"]
    assert len(text) == 3 + 8 and text[3] == "THE CAT SAT"


def test_words_of_the_test_set_join_only_where_configured(root, tmp_path):
    path = flac(root, "31").parent / "31-900.trans.txt"
    path.write_text(path.read_text().replace("THE CAT SAT", "OLD CAT SAT", 1))
    for choice, there in (("train", False), ("all", True)):
        make_language(corpus(root, text_words=0, transcript_words=choice), tmp_path / choice)
        lexicon = (tmp_path / choice / "lexicon.txt").read_text()
        assert ("OLD OW L D" in lexicon) == there
        text = (tmp_path / choice / "lm_text.txt").read_text()
        assert "OLD CAT" not in text


def test_text_without_a_sentence_is_named(root, tmp_path):
    (root / "text" / "none.txt").write_text("CHAPTER I\n\n***\n")
    with pytest.raises(DataError, match=r"none\.txt: no sentence"):
        make_language(corpus(root), tmp_path / "lang")


def test_a_dictionary_line_without_phones_is_named(root, tmp_path):
    (root / "dictionary").write_text("a AH0\ncat\n")
    with pytest.raises(DataError, match=":2: 'cat' has no phones"):
        make_language(corpus(root), tmp_path / "lang")


def test_absent_folders_are_named_with_their_source(tmp_path):
    options = LibrispeechOptions(data_root=str(tmp_path))
    problems = options.problems(tmp_path)
    assert len(problems) == 4
    for text in ("openslr.org/12", "ESC-50", "cmudict", "gutenberg"):
        assert any(text in problem and str(tmp_path) in problem for problem in problems)
    (tmp_path / "ESC-10").mkdir()
    assert len(options.problems(tmp_path)) == 9
    with pytest.raises(DataError, match="openslr"):
        make_set({"kind": "librispeech", "data_root": str(tmp_path)}, "train", tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dev_speakers": ("1",), "test_speakers": ("1",)}, "share 1"),
        ({"noise_folds": ((1, 2), (2,), (3,))}, "fold stands in two"),
        ({"noise_folds": ((1, 2), (), (3,))}, "at least one"),
        ({"noise_classes": tuple("aabcde")}, "twice"),
        ({"skip": ("everything",)}, "skip"),
        ({"min_seconds": 40.0}, "below"),
        ({"train_snr": (20, 10)}, "above the highest"),
        ({"arpa": "lm.arpa"}, "give `lexicon` too"),
    ],
)
def test_options_that_cannot_be(change, text):
    with pytest.raises(ValidationError, match=text):
        LibrispeechOptions(**change)


def test_numbers_in_words():
    spoken = {
        0: "ZERO",
        13: "THIRTEEN",
        40: "FORTY",
        99: "NINETY NINE",
        105: "ONE HUNDRED AND FIVE",
        1000: "ONE THOUSAND",
        21346: "TWENTY ONE THOUSAND THREE HUNDRED AND FORTY SIX",
        2000001: "TWO MILLION AND ONE",
    }
    for number, words in spoken.items():
        assert " ".join(number_words(number)) == words
    ordinals = {
        1: "FIRST",
        12: "TWELFTH",
        20: "TWENTIETH",
        23: "TWENTY THIRD",
        100: "ONE HUNDREDTH",
    }
    for number, words in ordinals.items():
        assert " ".join(ordinal_words(number)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mr. Knightley--who'd come 'in'", "MISTER KNIGHTLEY WHO'D COME IN"),
        (
            "well-known, in 1815; the 23rd of May",
            "WELL KNOWN IN EIGHTEEN FIFTEEN THE TWENTY THIRD OF MAY",
        ),
        ("It cost 1,200 pounds & more", "IT COST ONE THOUSAND TWO HUNDRED POUNDS AND MORE"),
        ("caf\u00e9 _really_ o\u2019clock", "CAFE REALLY O'CLOCK"),
        ("...", ""),
    ],
)
def test_normalised_text(text, words):
    assert " ".join(normalise(text)) == words


@given(st.text())
def test_normalised_text_has_letters_and_apostrophes_only(text):
    for word in normalise(text):
        assert set(word) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ'") and word.strip("'") == word


def test_sentences_of_a_book():
    book = (
        "The Project Gutenberg Etext\r\n\r\nLicence words here.\r\n"
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN*END*\r\n\r\n\r\nCHAPTER I\r\n\r\n"
        '"Is it Mr. Elton?" said Dr.\r\nGrey.  "Yes!"\r\n\r\nHe left\r\n\r\n'
        "End of the Project Gutenberg Etext\r\nMore licence.\r\n"
    )
    assert [" ".join(s) for s in sentences(book)] == [
        "IS IT MISTER ELTON SAID DOCTOR GREY",
        "YES",
        "HE LEFT",
    ]


def test_real_corpora_pass_the_door(tmp_path):
    real = os.environ.get("DARKKNOWLEDGE_CORPORA")
    if not real:
        pytest.skip("DARKKNOWLEDGE_CORPORA is unset: no real speech to test with")
    options = LibrispeechOptions(data_root=real, transcript_words="all", skip=("no_pronunciation",))
    assert options.problems(Path(real)) == []
    librispeech.make_set(
        options.model_copy(update={"dev_utterances": 14}), "dev", tmp_path / "dev", threads=2
    )
    data = read_data_directory(tmp_path / "dev")
    assert sorted(data.condition.values()) == [f"{n:02d}" for n in range(1, 15)]
    librispeech.make_language(options, tmp_path / "lang")
    words = {line.split()[0] for line in (tmp_path / "lang/lexicon.txt").read_text().splitlines()}
    reference = (Path(real) / "reference" / "lexicon.txt").read_text().splitlines()
    expected = {line.split()[0] for line in reference}
    assert abs(len(words) - len(expected)) < 300
    assert len(words & expected) > 0.97 * len(expected)


def test_the_reference_task_is_all_there(tmp_path):
    real = os.environ.get("DARKKNOWLEDGE_CORPORA")
    if not real:
        pytest.skip("DARKKNOWLEDGE_CORPORA is unset: no reference task to test with")
    study = yaml.safe_load((Path(__file__).parents[2] / "studies" / "reference.yaml").read_text())
    options = study["corpora"]["reference"] | {"data_root": real}
    for name, utterances in (("dev", 124), ("test", 247)):
        make_set(options, name, tmp_path / name)
        data = read_data_directory(tmp_path / name)
        assert len(data.wav) == utterances
    assert sum(map(len, data.text.values())) == 5240
    make_language(options, tmp_path / "lang")
    given = Path(real) / "reference" / "lexicon.txt"
    assert (tmp_path / "lang" / "lexicon.txt").read_bytes() == given.read_bytes()


def test_wav_headers_of_streams_are_not_truncated(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, sound(), 16000)
    data = bytearray(path.read_bytes())
    place = data.find(b"data")
    data[place + 4 : place + 8] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(bytes(data))
    assert len(read_samples(path)[0]) == len(sound())
