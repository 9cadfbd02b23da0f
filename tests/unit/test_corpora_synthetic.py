"""The synthetic corpus: grammar, voices, lexicon, determinism."""

import fcntl
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import soundfile

from darkknowledge.corpora import make_language, make_set, sentences, synthetic
from darkknowledge.corpora.espeak import Request, Synthesiser
from darkknowledge.corpora.options import SyntheticOptions
from darkknowledge.corpora.pronunciations import choose, count_pronunciations, phones
from darkknowledge.corpora.seeds import generator
from darkknowledge.datadir import read_data_directory
from darkknowledge.errors import DataError

TINY = {
    "kind": "synthetic",
    "train_minutes": 0.2,
    "train_speakers": 2,
    "dev_speakers": 1,
    "test_speakers": 2,
    "dev_utterances": 2,
    "test_utterances": 2,
    "lm_sentences": 600,
}


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for name in ("train", "dev", "test"):
        make_set(TINY, name, folder / name)
    make_language(TINY, folder / "lang")
    return folder


def test_the_grammar_has_at_least_300_words_and_a_choice_at_every_position():
    assert len(sentences.vocabulary()) >= 300
    for pattern in sentences.PATTERNS:
        assert 4 <= len(pattern) <= 9
        for slot in pattern:
            assert len(set(sentences.WORDS[slot])) >= 4


def test_every_word_of_the_grammar_is_used():
    drawn = sentences.sample_distinct(20000, generator(5))
    assert {w for s in drawn for w in s.split()} == set(sentences.vocabulary())
    assert len(set(drawn)) == len(drawn)
    assert not any(" a a" in s or " a e" in s or " an b" in s for s in drawn)


def test_held_out_sentences_are_in_no_other_set():
    options = SyntheticOptions(**TINY)
    held = synthetic.held_out(options)
    stream = synthetic._train_sentences(options, {*held["test"], *held["dev"]})
    train = {next(stream) for _ in range(3000)}
    assert len(train) == 3000
    assert not set(held["test"]) & set(held["dev"])
    assert not train & {*held["test"], *held["dev"]}


def test_voices_of_one_set_are_in_no_other():
    teams = synthetic.speakers(SyntheticOptions())
    variants = {name: {s.voice.split("+")[1] for s in team} for name, team in teams.items()}
    sizes = {name: len(team) for name, team in teams.items()}
    assert sizes == {"babble": 6, "test": 8, "dev": 6, "train": 40}
    assert sum(map(len, variants.values())) == len(set().union(*variants.values())) == 60
    for team in teams.values():
        assert any(s.voice.split("+")[1] in synthetic.FEMALE for s in team)
        assert any(s.voice.split("+")[1] in synthetic.MALE for s in team)
    assert {s.voice.split("+")[0] for s in teams["train"]} == set(SyntheticOptions().accents)


def test_speech_depends_on_the_request_alone():
    request = Request("the old captain slept", "en-gb+f2", 170, 60, 40, seed=3)
    with Synthesiser() as one:
        first = one.speak(request)
        one.speak(Request("something else", "en-us+f3"))
        again = one.speak(request)
        other = one.speak(Request("the old captain slept", "en-gb+f2", 170, 60, 40, seed=4))
    with Synthesiser() as two:
        two.speak(Request("hush", "en-us+whisper"))
        later = two.speak(request)
    assert first == again == later
    assert first != other
    assert 1.0 < len(first) / 2 / 22050 < 4.0


def test_speech_is_whole_after_a_job_was_halted(monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    request = Request("call her and ask for all of these things from the store", "en-us")
    with Synthesiser() as synthesiser:
        expected = synthesiser.speak(request)
        process = synthesiser._process
        process.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
        process.stdin.flush()
        held = b"\0\0\0\0"
        while struct.unpack("i", held)[0] < 65536:  # as much as a pipe holds; the rest waits
            time.sleep(0.01)
            held = fcntl.ioctl(process.stdout, termios.FIONREAD, held)
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.1)
        process.stdin.close()
        assert process.stdout.read()[8:] == expected


def test_an_unknown_voice_is_an_error(capfd):
    with Synthesiser() as synthesiser, pytest.raises(RuntimeError, match="without an answer"):
        synthesiser.speak(Request("x", "en-us+nobody"))
    assert "nobody" in capfd.readouterr().err


def test_every_voice_speaks_without_clipping():
    with Synthesiser() as synthesiser:
        for variant in synthetic.FEMALE + synthetic.MALE:
            data = synthesiser.speak(Request("the old captain slept", f"en-us+{variant}"))
            samples = np.frombuffer(data, "<i2").astype(int)
            assert len(samples) > 15000 and 500 < np.abs(samples).max() < 32000, variant


def test_phones_of_the_synthesiser():
    assert phones("k_'a_p_t_I_n") == ("K", "AE", "P", "T", "IH", "N")
    assert phones("D_I2_;") == ("DH", "IH")
    assert phones("T_'3:_t_i") == ("TH", "ER", "T", "IY")
    assert phones("r_'I_v_3__:__:") == ("R", "IH", "V", "AXR")
    assert phones("k_'aa_s_@L") == ("K", "AE", "S", "AX", "L")
    assert phones("k_'aa_s_@L", "en-gb-x-rp") == ("K", "AA", "S", "AX", "L")
    assert phones("f_'A@_m_3") == ("F", "AA", "M", "AXR")
    assert phones("f_'A@_m_3", "en-us") == ("F", "AA", "R", "M", "AXR")
    with pytest.raises(DataError, match="'Q'"):
        phones("k_'Q_t")


def test_sentences_with_joined_words_do_not_count():
    counts = count_pronunciations(["in the cat", "the cat"], ["I_n_D_@ k_'a_t", "D_@ k_'a_t"])
    assert counts == {"the": Counter({("DH", "AX"): 1}), "cat": Counter({("K", "AE", "T"): 1})}


def test_the_commonest_pronunciations_are_chosen():
    counts = Counter({("A",): 50, ("B",): 45, ("C",): 4, ("D",): 1})
    assert choose(counts, 4, 0.04) == [("A",), ("B",), ("C",)]
    assert choose(counts, 1, 0.04) == [("A",)]


def test_the_lexicon_covers_sentences_it_was_not_made_from():
    accents = ("en-us", "en-gb-scotland", "en-029")
    entries = synthetic.lexicon(sentences.sample_distinct(1500, generator(1)), accents, 4)
    fresh = sentences.sample_distinct(300, generator(2))
    hits = total = 0
    with Synthesiser() as synthesiser:
        for accent in accents:
            spoken = synthesiser.phonemes(accent, fresh)
            for word, found in count_pronunciations(fresh, spoken, accent).items():
                total += sum(found.values())
                hits += sum(n for p, n in found.items() if p in entries[word])
    assert hits / total > 0.98
    assert ("DH", "AX") in entries["the"] and ("DH", "IH") in entries["the"]


def test_the_sets(corpus):
    train, dev, test = (read_data_directory(corpus / n) for n in ("train", "dev", "test"))
    assert sum(train.duration.values()) >= 12
    assert len(dev.wav) == 2 and len(test.wav) == 28
    assert Counter(test.condition.values()) == {f"{n:02d}": 2 for n in range(1, 15)}
    assert not set(train.speakers) & set(test.speakers) | set(dev.speakers) & set(test.speakers)
    for data in (train, dev, test):
        for utterance, path in data.wav.items():
            info = soundfile.info(path)
            assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
            assert info.frames / 16000 == pytest.approx(data.duration[utterance], abs=1e-3)
            assert utterance.startswith(data.speaker[utterance] + "-")
            assert utterance.endswith("-c" + data.condition[utterance])
    clean, _ = soundfile.read(test.wav["te00-0000-c01"])
    assert 0.1 < np.abs(clean).max() < 0.98
    assert np.mean(clean == 0) < 0.1


def test_the_language(corpus):
    lines = [line.split() for line in (corpus / "lang/lexicon.txt").read_text().splitlines()]
    words = {line[0] for line in lines}
    names = {phone for line in lines for phone in line[1:]}
    assert len(words) == len(sentences.vocabulary()) and 40 <= len(names) <= 60
    assert all(name.isalnum() and name.isupper() for name in names)
    assert max(Counter(line[0] for line in lines).values()) <= 4
    assert len({tuple(line) for line in lines}) == len(lines)
    text = (corpus / "lang/lm_text.txt").read_text().splitlines()
    assert len(text) == 600 and {w for s in text for w in s.split()} <= words
    test = read_data_directory(corpus / "test")
    said = {" ".join(t) for t in test.text.values()}
    assert not said & set(text) and all(w in words for s in said for w in s.split())


def test_the_same_bytes_again_with_two_threads(corpus, tmp_path, monkeypatch):
    for number, place in enumerate(("one", "two")):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        make_set(TINY, "train", "train", threads=1 + number)
    one, two = digest(tmp_path / "one"), digest(tmp_path / "two")
    assert one == two
    earlier = digest(corpus / "train" / "audio")
    assert {f"train/audio/{name}": value for name, value in earlier.items()}.items() <= one.items()


def test_audio_of_an_earlier_run_is_removed(tmp_path):
    stale = tmp_path / "dev" / "audio" / "old.wav"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    make_set(TINY, "dev", tmp_path / "dev")
    assert not stale.exists()


def test_unknown_sets_kinds_and_options_are_named(tmp_path):
    with pytest.raises(DataError, match="'tset'.*train, dev, test"):
        make_set(TINY, "tset", tmp_path)
    with pytest.raises(DataError, match="'wsj'.*synthetic, librispeech"):
        make_set({"kind": "wsj"}, "train", tmp_path)
    with pytest.raises(DataError, match="minutes"):
        make_set({"kind": "synthetic", "minutes": 3}, "train", tmp_path)
    with pytest.raises(DataError, match="above the highest"):
        make_language({"kind": "synthetic", "test_snr": [15, 5]}, tmp_path)


def test_options_load_nothing_heavy():
    code = (
        "import sys, darkknowledge.corpora.options;"
        "print(sorted({'numpy', 'scipy', 'torch', 'soundfile'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
