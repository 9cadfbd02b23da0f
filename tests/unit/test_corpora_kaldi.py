"""Kaldi data directories made elsewhere: what is taken, what is refused, and how it is named."""

import re

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from darkknowledge.archives import Archive, write_archive
from darkknowledge.corpora import make_language, make_set
from darkknowledge.corpora.checks import Door
from darkknowledge.corpora.kaldi import Piece, read_source
from darkknowledge.corpora.options import KaldiOptions
from darkknowledge.datadir import read_data_directory
from darkknowledge.errors import DataError
from darkknowledge.features import extract

WORDS = "THE CAT SAT ON A MAT".split()
RATE = 16000


def sound(seconds=1.2, rate=RATE, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))


def write(folder, **tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in tables.items():
        name = "wav.scp" if name == "wav" else name
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def root(tmp_path):
    """Three sets of two speakers with two utterances each, and a lexicon."""
    (tmp_path / "wav").mkdir()
    for name in ("train", "dev", "test"):
        utterances = [f"{name}{speaker}-{n}" for speaker in "ab" for n in range(2)]
        for seed, utterance in enumerate(utterances):
            soundfile.write(tmp_path / "wav" / f"{utterance}.wav", sound(1 + 0.1 * seed), RATE)
        write(
            tmp_path / "data" / name,
            wav=[f"{u} wav/{u}.wav" for u in utterances],
            text=[f"{u} {' '.join(WORDS[: 2 + n])}" for n, u in enumerate(utterances)],
            utt2spk=[f"{u} {u[:-2]}" for u in utterances],
        )
    (tmp_path / "lexicon.txt").write_text(
        "!SIL SIL\n<UNK> SPN\nA AH0\nCAT K AE1 T\nMAT M AE1 T\nON AA1 N\nSAT S AE1 T\nTHE DH AH0\n"
    )
    return tmp_path


def corpus(root, **more):
    return {
        "kind": "kaldi",
        "data_root": str(root),
        "train": "data/train",
        "dev": "data/dev",
        "test": "data/test",
        "lexicon": "lexicon.txt",
    } | more


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def refused(root, set_name="dev", **more) -> str:
    with pytest.raises(DataError) as caught:
        make_set(corpus(root, **more), set_name, root / "out")
    assert not (root / "out" / "wav.scp").exists()
    return str(caught.value)


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_a_set_names_the_files_where_they_lie(root, name):
    make_set(corpus(root), name, root / "out")
    data = read_data_directory(root / "out")
    assert list(data.wav) == [f"{name}{s}-{n}" for s in "ab" for n in range(2)]
    assert all(data.wav[u] == str(root / "wav" / f"{u}.wav") for u in data.wav)
    assert data.text[f"{name}a-1"] == ["THE", "CAT", "SAT"]
    assert data.speakers.keys() == {f"{name}a", f"{name}b"}
    assert set(data.condition.values()) == {"01"}
    assert list(data.duration.values()) == pytest.approx([1.0, 1.1, 1.2, 1.3])
    assert list((root / "out" / "audio").iterdir()) == []


def test_paths_start_from_the_data_root_the_directory_or_the_top(root):
    scp = root / "data" / "dev" / "wav.scp"
    edit(scp, "wav/deva-0.wav", str(root / "wav" / "deva-0.wav"))
    (root / "wav" / "deva-1.wav").rename(root / "data" / "dev" / "own.wav")
    edit(scp, "wav/deva-1.wav", "own.wav")
    make_set(corpus(root), "dev", root / "out")
    data = read_data_directory(root / "out")
    assert data.wav["deva-0"] == str(root / "wav" / "deva-0.wav")
    assert data.wav["deva-1"] == str(root / "data" / "dev" / "own.wav")
    assert data.wav["devb-0"] == str(root / "wav" / "devb-0.wav")


def test_tabs_and_order_do_not_matter(root):
    folder = root / "data" / "dev"
    lines = (folder / "text").read_text().splitlines()
    write(folder, text=[line.replace(" ", "\t", 1) for line in reversed(lines)])
    make_set(corpus(root), "dev", root / "out")
    assert read_data_directory(root / "out").text["deva-0"] == ["THE", "CAT"]


def test_conditions_have_any_names(root):
    names = ["deva-0 clean", "deva-1 babble_10dB", "devb-0 clean", "devb-1 14"]
    write(root / "data" / "dev", utt2cond=names)
    make_set(corpus(root), "dev", root / "out")
    data = read_data_directory(root / "out")
    assert [f"{u} {c}" for u, c in data.condition.items()] == names


def test_commands_and_archives_are_refused_by_line_all_at_once(root):
    write(
        root / "data" / "dev",
        wav=[
            "deva-0 flac -c -d -s a.flac |",
            "deva-1 wav/deva-1.wav",
            "devb-0 raw.ark:77",
            "devb-1",
        ],
    )
    message = refused(root, skip=("missing",))
    scp = root / "data" / "dev" / "wav.scp"
    assert f"{scp}:1: deva-0: 'flac -c -d -s a.flac |' is a command" in message
    assert "write what it gives to a file" in message
    assert f"{scp}:3: devb-0: 'raw.ark:77' is a place in an archive" in message
    assert f"{scp}:4: devb-1: no audio file" in message and ":2:" not in message


@pytest.mark.parametrize(
    ("name", "old", "new", "text"),
    [
        ("utt2spk", "deva-1 deva\n", "", "utt2spk: 1 utterances have no speaker.*deva-1"),
        ("utt2spk", "deva-1 deva\n", "deva-1\n", "utt2spk:2: deva-1 ''; expected one speaker"),
        ("utt2spk", "deva-1 deva\n", "deva-1 a b\n", "expected one speaker"),
        ("text", "deva-1", "\ndeva-1", "text:2: empty line"),
    ],
)
def test_lines_that_cannot_be_are_named(root, name, old, new, text):
    edit(root / "data" / "dev" / name, old, new)
    assert re.search(text, refused(root))


def test_an_utterance_without_a_condition_is_named(root):
    write(root / "data" / "dev", utt2cond=["deva-0 clean"])
    assert "utt2cond: 3 utterances have no condition, the first is deva-1" in refused(root)


@pytest.mark.parametrize("name", ["wav.scp", "text", "utt2spk"])
def test_a_file_that_lacks_is_named(root, name):
    (root / "data" / "dev" / name).unlink()
    assert f"{root / 'data' / 'dev'} lacks {name}" in refused(root)


def damage(root, kind):
    """Put one fault of a kind into the dev set; return what the message must name."""
    path = root / "wav" / "deva-0.wav"
    folder = root / "data" / "dev"
    if kind == "missing":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "unreadable":
        path.write_bytes(b"this is no audio" * 100)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:9000])
    elif kind == "nan":
        data = sound()
        data[77] = np.nan
        soundfile.write(path, data, RATE, "FLOAT")
    elif kind == "silent":
        soundfile.write(path, np.zeros(20000), RATE)
    elif kind == "clipped":
        soundfile.write(path, np.clip(50 * sound(), -1, 1), RATE)
    elif kind == "rate":
        soundfile.write(path, sound(rate=8000), 8000)
    elif kind == "channels":
        soundfile.write(path, np.stack([sound(), sound(seed=5)], 1), RATE)
    elif kind == "length":
        soundfile.write(path, sound(0.05), RATE)
    elif kind == "no_audio":
        edit(folder / "wav.scp", "deva-0 wav/deva-0.wav\n", "")
        return "deva-0"
    elif kind == "no_transcript":
        edit(folder / "text", "deva-0 THE CAT\n", "deva-0\n")
        return "deva-0"
    elif kind == "duplicate":
        edit(folder / "text", "deva-0 THE CAT\n", "deva-0 THE CAT\ndeva-0 A MAT\n")
        return "deva-0"
    elif kind == "no_pronunciation":
        edit(folder / "text", "deva-0 THE CAT\n", "deva-0 THE AARDVARK\n")
        return "AARDVARK"
    return path.name


KINDS = (
    "missing empty unreadable truncated nan silent clipped rate channels length no_audio "
    "no_transcript duplicate no_pronunciation"
).split()


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_stops_or_is_skipped_where_configured(root, kind):
    named = damage(root, kind)
    message = refused(root, skip=tuple(k for k in KINDS if k != kind))
    assert f"1 faults ({kind} 1)" in message and named in message
    make_set(corpus(root, skip=(kind,)), "dev", root / "out")
    (line,) = (root / "out" / "skipped.txt").read_text().splitlines()
    assert line.startswith(f"{kind}\t") and named in line
    data = read_data_directory(root / "out")
    assert len(data.wav) == (4 if kind in ("duplicate", "no_pronunciation") else 3)
    if kind == "duplicate":
        assert data.text["deva-0"] == ["THE", "CAT"]


def test_all_faults_are_reported_at_once(root):
    damage(root, "rate")
    edit(root / "data" / "dev" / "text", "SAT\n", "SAT AARDVARK\n")
    (root / "wav" / "devb-1.wav").unlink()
    message = refused(root)
    assert "3 faults (missing 1, no_pronunciation 1, rate 1)" in message
    assert f"missing: devb-1 in {root / 'wav' / 'devb-1.wav'}: no such file; put" in message


@pytest.fixture
def pieces(root):
    """Cut the dev set out of two recordings; return their samples as integers."""
    folder = root / "data" / "dev"
    integers = {}
    for seed, name in enumerate("xy"):
        soundfile.write(root / "wav" / f"{name}.flac", sound(3.0, seed=seed), RATE)
        integers[name], _ = soundfile.read(root / "wav" / f"{name}.flac", dtype="int16")
    write(
        folder,
        wav=["x wav/x.flac", "y wav/y.flac"],
        segments=["deva-0 x 0.5 1.5", "deva-1 x 1.25 3.2", "devb-0 y 0 1.23", "devb-1 y 2 -1"],
    )
    return integers


def test_pieces_are_cut_out_to_the_sample(root, pieces):
    make_set(corpus(root), "dev", root / "out")
    data = read_data_directory(root / "out")
    expected = {
        "deva-0": pieces["x"][8000:24000],
        "deva-1": pieces["x"][20000:48000],
        "devb-0": pieces["y"][0:19680],
        "devb-1": pieces["y"][32000:48000],
    }
    assert list(data.wav) == list(expected)
    for name, samples in expected.items():
        assert data.wav[name] == str(root / "out" / "audio" / f"{name}.wav")
        found, rate = soundfile.read(data.wav[name], dtype="int16")
        assert rate == RATE and np.array_equal(found, samples)
        assert data.duration[name] == pytest.approx(len(samples) / RATE)


def test_a_set_made_again_keeps_no_old_piece(root, pieces):
    make_set(corpus(root), "dev", root / "out")
    folder = root / "data" / "dev"
    edit(folder / "segments", "deva-0 x 0.5 1.5\n", "")
    edit(folder / "text", "deva-0 THE CAT\n", "")
    make_set(corpus(root), "dev", root / "out")
    assert sorted(p.name for p in (root / "out" / "audio").iterdir()) == [
        "deva-1.wav",
        "devb-0.wav",
        "devb-1.wav",
    ]


@pytest.mark.parametrize(
    ("new", "text"),
    [
        ("deva-0 x 1.5 0.5", "segments:1: deva-0 'x 1.5 0.5'; expected"),
        ("deva-0 x 1.5", "segments:1: deva-0 'x 1.5'; expected"),
        ("deva-0 x one two", "segments:1: deva-0 'x one two'; expected"),
        ("deva-0 x 0.5 nan", "expected 'utterance recording start end'"),
        ("deva-0 z 0.5 1.5", "no_audio: deva-0: its recording z has no line in"),
        ("deva-0 x 0.5 3.6", "length: deva-0 in .*0.5 to 3.6 s of 3.00 s"),
        ("deva-0 x 0.5 0.52", "length: deva-0 in .*0.02 s, expected 0.1 to 60 s"),
    ],
)
def test_pieces_that_cannot_be_are_named(root, pieces, new, text):
    edit(root / "data" / "dev" / "segments", "deva-0 x 0.5 1.5", new)
    assert re.search(text, refused(root))


def test_a_damaged_recording_takes_its_pieces_along(root, pieces):
    soundfile.write(root / "wav" / "x.flac", sound(3.0, 8000), 8000)
    assert "1 faults (rate 1)" in refused(root)
    make_set(corpus(root, skip=("rate",)), "dev", root / "out")
    assert list(read_data_directory(root / "out").wav) == ["devb-0", "devb-1"]


def test_what_a_directory_says(root, pieces):
    source = read_source(root / "data" / "dev", root, Door("here"))
    assert source.cut and source.pieces["devb-1"] == Piece("y", 2.0, None)
    assert source.paths == {name: root / "wav" / f"{name}.flac" for name in "xy"}


def test_the_language_from_text(root):
    (root / "text").mkdir()
    (root / "text" / "more.txt").write_text("THE DOG SAT\n\nA CAT\n")
    make_language(corpus(root, lm_text=("text",)), root / "lang")
    assert (root / "lang" / "lexicon.txt").read_bytes() == (root / "lexicon.txt").read_bytes()
    text = (root / "lang" / "lm_text.txt").read_text().splitlines()
    assert text[:2] == ["THE <UNK> SAT", "A CAT"]
    assert text[2:] == [" ".join(WORDS[: 2 + n]) for n in range(4)]


def test_the_language_from_transcripts_alone_or_given(root):
    make_language(corpus(root), root / "lang")
    assert len((root / "lang" / "lm_text.txt").read_text().splitlines()) == 4
    (root / "lm.arpa").touch()
    make_language(corpus(root, arpa="lm.arpa"), root / "given")
    assert sorted(p.name for p in (root / "given").iterdir()) == ["lexicon.txt"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"A CAT\n<s> A CAT </s>\n", r"lm\.txt:2: <s> or </s> in the text"),
        (b"\n", r"lm\.txt: no sentence"),
        ("CAF\u00c9\n".encode("latin-1"), r"lm\.txt: not UTF-8"),
    ],
)
def test_text_that_cannot_be_is_named(root, content, text):
    (root / "lm.txt").write_bytes(content)
    with pytest.raises(DataError, match=text):
        make_language(corpus(root, lm_text=("lm.txt",)), root / "lang")


def test_words_of_the_transcripts_outside_the_lexicon_stop_the_language(root):
    edit(root / "data" / "train" / "text", "THE CAT\n", "THE AARDVARK\n")
    with pytest.raises(DataError, match="no_pronunciation: AARDVARK"):
        make_language(corpus(root), root / "lang")
    make_language(corpus(root, skip=("no_pronunciation",)), root / "lang")
    assert (root / "lang" / "lm_text.txt").read_text().startswith("THE <UNK>\n")


def test_what_is_absent_is_named_all_at_once(root):
    (root / "data" / "dev" / "text").unlink()
    (root / "lexicon.txt").unlink()
    options = KaldiOptions(**corpus(root, test="nowhere", lm_text=("books",)))
    found = options.problems(root)
    assert len(found) == 4
    for text in ("lacks text", "lexicon: no file", "test: no folder", "lm_text: "):
        assert any(text in problem for problem in found)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"arpa": "a", "lm_text": ("b",)}, "no effect beside arpa"),
        ({"dev": "data/train/"}, "dev is the training set"),
        ({"min_seconds": 2.0, "max_seconds": 1.0}, "below"),
        ({"skip": ("everything",)}, "skip"),
        ({"train": None}, "train"),
    ],
)
def test_options_that_cannot_be(root, change, text):
    with pytest.raises(ValidationError, match=text):
        KaldiOptions(**corpus(root, **change))


def archives(root, *kinds):
    return {k: {n: f"feats/{n}/{k}.scp" for n in ("train", "dev", "test")} for k in kinds}


@pytest.fixture
def given(root):
    """Feature archives of all sets, their indices with paths from the data root."""
    for name in ("train", "dev", "test"):
        make_set(corpus(root), name, root / "plain" / name)
        folder = root / "feats" / name
        extract(read_data_directory(root / "plain" / name), folder, {})
        for kind in ("mfcc", "fbank"):
            scp = folder / f"{kind}.scp"
            scp.write_text(scp.read_text().replace(f"{root}/", ""))
        data = read_data_directory(root / "plain" / name)
        write(
            root / "data" / name,
            wav=[f"{u} sph2pipe {u}.sph |" for u in data.wav],
            utt2dur=[f"{u} {seconds}" for u, seconds in data.duration.items()],
        )
    return root


def test_features_made_elsewhere_need_no_audio_and_are_the_same(given):
    options = corpus(given, **archives(given, "mfcc", "fbank"))
    make_set(options, "dev", given / "out")
    data, before = (read_data_directory(given / p) for p in ("out", "plain/dev"))
    assert data.wav["deva-0"] == "sph2pipe deva-0.sph |"
    assert (data.text, data.speaker, data.duration) == (
        before.text,
        before.speaker,
        before.duration,
    )
    scps = {kind: given / "feats" / "dev" / f"{kind}.scp" for kind in ("mfcc", "fbank")}
    extract(data, given / "new", {}, given=scps, roots=[given])
    for name in ("mfcc", "fbank", "cmvn_mfcc", "cmvn_fbank"):
        old, new = (given / folder / f"{name}.ark" for folder in ("feats/dev", "new"))
        assert old.read_bytes() == new.read_bytes()


def test_one_kind_made_elsewhere_still_reads_the_audio(given):
    with pytest.raises(DataError, match="is a command"):
        make_set(corpus(given, **archives(given, "mfcc")), "dev", given / "out")
    data = read_data_directory(given / "plain" / "dev")
    scp = given / "feats" / "dev" / "mfcc.scp"
    extract(data, given / "new", {}, given={"mfcc": scp}, roots=[given])
    for name in ("mfcc", "fbank"):
        old, new = (given / folder / f"{name}.ark" for folder in ("feats/dev", "new"))
        assert old.read_bytes() == new.read_bytes()


def test_durations_without_audio_come_from_the_directory(given):
    options = corpus(given, **archives(given, "mfcc", "fbank"))
    folder = given / "data" / "dev"
    edit(folder / "utt2dur", "deva-0 1.0", "deva-0 -1.0")
    with pytest.raises(DataError, match="utt2dur: deva-0 has '-1.0'; expected seconds above 0"):
        make_set(options, "dev", given / "out")
    (folder / "utt2dur").unlink()
    with pytest.raises(DataError, match="no utt2dur.*get_utt2dur"):
        make_set(options, "dev", given / "out")
    write(
        folder,
        wav=["x cat x.wav |"],
        segments=[f"dev{s}-{n} x {n} {n + 1.5}" for s in "ab" for n in range(2)],
    )
    make_set(options, "dev", given / "out")
    data = read_data_directory(given / "out")
    assert set(data.duration.values()) == {1.5} and set(data.wav.values()) == {"cat x.wav |"}


@pytest.mark.parametrize(
    ("options", "drop", "text"),
    [
        ({"fbank": {"bins": 23}}, None, "40 dimensions, expected 23; set features.fbank.bins: 40"),
        ({"frame_shift": 20}, None, "set features.frame_shift"),
        ({}, "devb-0", "no fbank of 1 of 4 utterances, the first is devb-0"),
    ],
)
def test_features_that_do_not_fit_are_named(given, options, drop, text):
    data = read_data_directory(given / "plain" / "dev")
    scp = given / "feats" / "dev" / "fbank.scp"
    lines = [line for line in scp.read_text().splitlines() if line.split()[0] != drop]
    scp.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=text):
        extract(data, given / "new", options, kinds=["fbank"], given={"fbank": scp}, roots=[given])
    assert not (given / "new" / "fbank.scp").exists()


def test_kinds_with_other_frames_are_named(given):
    data = read_data_directory(given / "plain" / "dev")
    matrices = dict(Archive(given / "feats" / "dev" / "fbank.scp", [given]))
    matrices["deva-1"] = matrices["deva-1"][:-2]
    write_archive(given / "short" / "fbank.scp", sorted(matrices.items()))
    with pytest.raises(DataError, match="fbank of utterance deva-1 have 106 frames.*108"):
        extract(data, given / "new", {}, given={"fbank": given / "short" / "fbank.scp"})


def test_an_archive_that_is_not_there_says_what_to_do(given):
    data = read_data_directory(given / "plain" / "dev")
    scp = given / "feats" / "dev" / "fbank.scp"
    with pytest.raises(DataError, match="mend the path in the index"):
        extract(data, given / "new", {}, kinds=["fbank"], given={"fbank": scp})
    options = KaldiOptions(**corpus(given, mfcc=dict.fromkeys(("train", "dev", "test"), "none")))
    assert sum(problem.startswith("mfcc.") for problem in options.problems(given)) == 3
    with pytest.raises(ValidationError, match="mfcc: no archive of dev, test"):
        KaldiOptions(**corpus(given, mfcc={"train": "feats.scp"}))


def test_conditions_are_told_by_the_last_character(root):
    folder = root / "data" / "dev"
    for name in ("wav.scp", "text", "utt2spk"):
        lines = (folder / name).read_text().splitlines()
        rest = [line.partition(" ")[2] for line in lines]
        named = zip(["a-00", "a-01", "b-0a", "b-0d"], rest, strict=True)
        (folder / name).write_text("".join(f"{u} {line}\n" for u, line in named))
    suffixes = {"dev": "0123456789abcd"}
    make_set(corpus(root, conditions=suffixes), "dev", root / "out")
    found = read_data_directory(root / "out").condition
    assert found == {"a-00": "01", "a-01": "02", "b-0a": "11", "b-0d": "14"}
    make_set(corpus(root, conditions=suffixes), "train", root / "out")
    assert set(read_data_directory(root / "out").condition.values()) == {"01"}


def test_an_utterance_without_a_condition_is_refused(root):
    assert "2 utterances end in none of '0'" in refused(root, conditions={"dev": "0"})
    with pytest.raises(ValidationError, match="each character stands once"):
        KaldiOptions(**corpus(root, conditions={"dev": "00"}))
