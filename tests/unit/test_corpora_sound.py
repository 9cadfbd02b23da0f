"""Levels, mixing, microphones, noises, conditions, seeds."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkknowledge.corpora import channel, conditions, mixing, noise
from darkknowledge.corpora.assembly import Clean, Scene, dev_conditions, train_conditions
from darkknowledge.corpora.seeds import generator, seed_of

RATE = mixing.RATE


def tone(seconds, amplitude=0.1, frequency=440.0):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def test_active_power_leaves_pauses_out():
    speech = tone(1.0, 0.2)
    pauses = np.concatenate([np.zeros(RATE), speech, np.zeros(RATE)])
    assert mixing.active_power(speech) == pytest.approx(0.02, rel=1e-6)
    assert mixing.active_power(pauses) == pytest.approx(0.02, rel=1e-6)
    assert mixing.active_power(np.zeros(100)) == 0


def test_frame_powers_of_a_short_last_frame():
    assert mixing.frame_powers(np.ones(330)).tolist() == [1.0, 1.0]
    assert mixing.frame_powers(np.concatenate([np.ones(320), 2 * np.ones(5)])).tolist() == [1, 4]


@settings(max_examples=25, deadline=None)
@given(st.floats(-10, 40), st.floats(0.001, 10))
def test_mix_reaches_the_ratio_whatever_the_noise_level(snr, level):
    speech = np.pad(tone(1.0), 4000)
    hiss = level * np.random.default_rng(0).standard_normal(len(speech))
    added = mixing.mix(speech, hiss, snr) - speech
    measured = 10 * np.log10(mixing.active_power(speech) / np.mean(added**2))
    assert measured == pytest.approx(snr, abs=1e-6)


def test_limit_scales_down_only():
    quiet = np.array([0.5, -0.2])
    assert mixing.limit(quiet) is quiet
    loud = mixing.limit(np.array([2.0, -1.0]))
    assert loud == pytest.approx([0.98, -0.49])


def test_silent_noise_is_refused():
    with pytest.raises(ValueError, match="silent"):
        mixing.mix(tone(0.1), np.zeros(1600), 10)


def test_minimum_phase_has_the_gain_asked_for():
    def bell(frequency):
        return 6 * np.exp(-(((frequency - 2000) / 500) ** 2))

    taps = channel.minimum_phase(bell)
    frequency = np.fft.rfftfreq(4096, 1 / RATE)
    gain = 20 * np.log10(np.abs(np.fft.rfft(taps, 4096)))
    assert np.abs(gain - bell(frequency)).max() < 0.05
    assert np.argmax(np.abs(taps)) == 0


def test_second_microphones_differ_between_sets_and_from_the_first():
    sets = {name: channel.Microphones(1, name) for name in ("train", "dev", "test")}
    filters = [filter_ for own in sets.values() for filter_ in own.second]
    shape = np.array([20 * np.log10(np.abs(np.fft.rfft(f, 1024)) + 1e-6) for f in filters])
    first = 20 * np.log10(np.abs(np.fft.rfft(sets["train"].first, 1024)) + 1e-6)
    band = slice(1024 * 200 // RATE, 1024 * 6000 // RATE)
    assert np.abs(first[band]).max() < 1
    for number, one in enumerate(shape):
        assert np.std(one[band] - first[band]) > 1
        for other in shape[:number]:
            assert np.std(one[band] - other[band]) > 1
    again = channel.Microphones(1, "test").second[0]
    assert np.array_equal(again, sets["test"].second[0])


def voices():
    rng = np.random.default_rng(3)
    return [rng.standard_normal(5 * RATE) for _ in range(3)]


def test_noises_differ_in_spectrum_and_in_time():
    source = noise.SyntheticNoise(voices())
    edges = np.array([0, 150, 500, 1500, 4000, 8000]) * 4 * RATE // RATE
    shares, swings, flatness = {}, {}, {}
    for index, name in enumerate(source.names):
        sound = source.segment(index, 4 * RATE, generator("noise", name))
        assert sound.shape == (4 * RATE,) and np.isfinite(sound).all()
        power = np.abs(np.fft.rfft(sound)) ** 2
        shares[name] = np.add.reduceat(power, edges[:-1]) / power.sum()
        frames = np.abs(np.fft.rfft(sound.reshape(-1, 1000) * np.hanning(1000)))[:, 12:250] ** 2
        flatness[name] = np.mean(np.log(frames).mean(axis=1) - np.log(frames.mean(axis=1)))
        swings[name] = np.std(10 * np.log10(mixing.frame_powers(sound) + 1e-12))
    names = list(shares)
    for number, one in enumerate(names):
        for other in names[:number]:
            spectrum = np.abs(shares[one] - shares[other]).sum()
            time = abs(swings[one] - swings[other])
            flat = abs(flatness[one] - flatness[other])
            assert spectrum > 0.2 or time > 2 or flat > 1, (one, other)
    assert shares["car"][0] > 0.5 and shares["machinery"][3] > 0.25
    assert min(flatness, key=flatness.get) == "music"
    assert swings["wind"] > 2 * swings["car"]


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("length", [1, 160, 20000])
def test_a_noise_has_the_length_asked_for_and_its_own_realisation(index, length):
    source = noise.SyntheticNoise(voices())
    one = source.segment(index, length, generator(1, "train"))
    same = source.segment(index, length, generator(1, "train"))
    other = source.segment(index, length, generator(1, "test"))
    assert len(one) == length and np.array_equal(one, same)
    assert length == 1 or not np.allclose(one, other)


def test_recordings_are_split_by_fold():
    files = [
        Path(f"{fold}-{clip}-{take}.ogg")
        for fold in range(1, 6)
        for clip in (7, 8)
        for take in "AB"
    ]
    train, dev, test = noise.split_recordings(files, ((1, 2, 3), (4,), (5,)))
    assert len(train) == 12 and len(dev) == len(test) == 4
    assert {f.name[0] for f in test} == {"5"}


@given(st.sets(st.text("abcdef", min_size=1, max_size=6), min_size=3, max_size=40))
def test_other_recordings_are_split_by_stem(stems):
    files = [Path(f"{stem}.wav") for stem in stems]
    parts = noise.split_recordings(files, ((1,), (2,), (3,)))
    assert all(parts)
    assert sorted(f for part in parts for f in part) == sorted(files)
    backwards = noise.split_recordings(files[::-1], ((1,), (2,), (3,)))
    assert backwards == parts


def test_digital_silence_at_the_ends_is_cut():
    sound = np.concatenate([np.zeros(3200), tone(1.0), np.zeros(6400)])
    assert len(noise.without_silence(sound)) == RATE
    assert len(noise.without_silence(np.zeros(1000))) == 0


def test_a_looped_recording_has_no_gap():
    sound = np.random.default_rng(0).standard_normal(RATE)
    long = noise.looped(sound, 5 * RATE, 3000)
    powers = mixing.frame_powers(long)
    assert len(long) == 5 * RATE and powers.min() > 0.5 and powers.max() < 1.7


def test_conditions_are_those_of_aurora4():
    groups = "".join(conditions.group(c) for c in conditions.CONDITIONS)
    assert groups == "A" + 6 * "B" + "C" + 6 * "D"
    assert [conditions.noise_index(c) for c in conditions.CONDITIONS] == 2 * [
        None,
        0,
        1,
        2,
        3,
        4,
        5,
    ]


@given(st.integers(1, 300), st.floats(0, 1))
def test_conditions_are_dealt_by_their_shares(count, share):
    dealt = Counter(conditions.deal(count, share, generator(1)))
    assert sum(dealt.values()) == count
    for label in conditions.CONDITIONS:
        part = share if conditions.noise_index(label) is None else (1 - share) / 6
        assert abs(dealt[label] - part / 2 * count) < 1 + 1e-6


def test_a_longer_training_set_begins_with_the_conditions_of_a_shorter():
    stream = train_conditions(1, 0.25)
    first = [next(stream) for _ in range(96)]
    assert Counter(map(conditions.microphone, first)) == {1: 48, 2: 48}
    assert Counter(map(conditions.group, first)) == {"A": 12, "B": 36, "C": 12, "D": 36}
    dev = dev_conditions(1)
    assert Counter(next(dev) for _ in range(28)) == {c: 2 for c in conditions.CONDITIONS}


def test_seeds_depend_on_every_part_and_not_on_order_of_use():
    assert seed_of(1, "a", "b") == seed_of(1, "a", "b")
    assert len({seed_of(1, "a"), seed_of(2, "a"), seed_of(1, "b"), seed_of("1a")}) == 4
    assert seed_of("ab", "c") != seed_of("a", "bc")


def test_an_utterance_keeps_noise_and_ratio_over_microphones():
    scene = Scene(1, "test", noise.SyntheticNoise(voices()), (5, 15))
    clean = Clean("s-1", "s", ["HI"], np.pad(tone(1.0, 0.05), 1600))
    ratios = {}
    for label in ("01", "03", "08", "10"):
        ratios[label] = scene.record(clean, label)
        assert np.abs(ratios[label]).max() <= 0.981
    again = Scene(1, "test", noise.SyntheticNoise(voices()), (5, 15)).record(clean, "10")
    assert np.array_equal(again, ratios["10"])
    snr = [
        10 * np.log10(mixing.active_power(ratios[a]) / np.mean((ratios[b] - ratios[a]) ** 2))
        for a, b in (("01", "03"), ("08", "10"))
    ]
    assert snr[0] == pytest.approx(snr[1], abs=1e-6) and 5 <= snr[0] <= 15
    assert scene.ratio("s-1", "03") == scene.ratio("s-1", "10") == pytest.approx(snr[0])
    assert scene.ratio("s-1", "01") is None
