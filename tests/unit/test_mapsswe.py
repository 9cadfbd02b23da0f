"""NIST's test by hand, and beside what sclite and sc_stats say of the same hypotheses."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from darkknowledge.mapsswe import align, mapsswe, segments
from darkknowledge.scoring import read_trn

SCTK = Path(__file__).parent / "sctk"
SYSTEMS = ("one", "two", "three")
WORDS = st.lists(st.sampled_from("ABC"), max_size=7)


def test_alignment_by_hand():
    assert align("A B C".split(), "A B C".split()) == "CCC"
    assert align("A B C".split(), "A X C D".split()) == "CSCI"
    assert align("A B".split(), []) == "DD"
    assert align([], ["A"]) == "I"
    # sclite's weights: three substitutions (12) cost as much as two words lost and two added, and
    # more than one lost and one added around two right ones
    assert align("A B C".split(), "B C D".split()) == "DCCI"


@given(WORDS, WORDS)
def test_an_alignment_holds_all_words(reference, hypothesis):
    steps = align(reference, hypothesis)
    assert len(steps) - steps.count("I") == len(reference)
    assert len(steps) - steps.count("D") == len(hypothesis)


def test_segments_by_hand():
    # errors two right words apart are two segments
    assert segments("CSCCCCCC", "CCCCCCSC") == [(1, 0), (0, 1)]
    assert segments("CSCCSCCC", "CCCCCCCC") == [(1, 0), (1, 0)]
    # one right word between them is too short
    assert segments("CSCSCCCC", "CCCCCCCC") == [(2, 0)]
    # a word is right only if both systems have it right
    assert segments("CSCCSCC", "CCDCCCC") == [(2, 1)]
    # a word inserted between two right ones parts them
    assert segments("SCICCC", "SCCCC") == [(2, 1)]
    assert segments("CCII", "CC") == [(2, 0)]
    assert segments("CC", "ICC") == [(0, 1)]
    assert segments("CCC", "CCC") == []


@given(WORDS, WORDS, WORDS)
def test_every_error_stands_in_one_segment(reference, one, other):
    steps = align(reference, one), align(reference, other)
    found = segments(*steps)
    for index, path in enumerate(steps):
        assert sum(pair[index] for pair in found) == len(path) - path.count("C")
    assert segments(*reversed(steps)) == [(b, a) for a, b in found]


def test_mapsswe_by_hand():
    # differences 1, 2, -1, 1: mean 3/4, squares around it 19/4, variance 19/12
    found = mapsswe([(1, 0), (2, 0), (0, 1), (1, 0)])
    assert found.segments == 4 and found.mean == 0.75
    assert found.deviation == pytest.approx((19 / 12) ** 0.5)
    assert found.z == pytest.approx(0.75 / (19 / 12 / 4) ** 0.5)
    assert found.p == pytest.approx(2 * stats.norm.sf(found.z))


def test_no_difference_is_no_evidence():
    for pairs in ([], [(2, 2)], [(1, 1), (3, 3)], [(1, 0)], [(1, 0), (1, 0)]):
        assert (mapsswe(pairs).z, mapsswe(pairs).p) == (0, 1)


def compared(first, second):
    reference = read_trn(SCTK / "reference.trn")
    one, other = (read_trn(SCTK / f"{name}.trn") for name in (first, second))
    return mapsswe(
        segment
        for utterance, words in reference.items()
        for segment in segments(align(words, one[utterance]), align(words, other[utterance]))
    )


def agrees(found, first, second):
    ours = compared(first, second)
    assert ours.segments == found["segments"]
    for key in ("mean", "deviation", "z"):
        assert getattr(ours, key) == pytest.approx(found[key], abs=0.00051), key


RECORDED = json.loads((SCTK / "sc_stats.json").read_text())


@pytest.mark.parametrize("pair", RECORDED["pairs"], ids=lambda p: f"{p['first']}-{p['second']}")
def test_as_sc_stats_said(pair):
    agrees(pair, pair["first"], pair["second"])


def test_as_many_errors_as_sclite():
    reference = read_trn(SCTK / "reference.trn")
    for name, errors in RECORDED["errors"].items():
        found = read_trn(SCTK / f"{name}.trn")
        steps = "".join(align(words, found[utterance]) for utterance, words in reference.items())
        assert len(steps) - steps.count("C") == errors


def sctk(tool):
    """Name a tool of sctk as Debian has it, or as NIST's makefile installs it."""
    if shutil.which("sctk"):
        return ["sctk", tool]
    return [tool] if shutil.which(tool) else None


@pytest.mark.skipif(
    not (sctk("sclite") and sctk("sc_stats")),
    reason="no sclite and sc_stats here (apt-get install sctk); their numbers are recorded",
)
def test_as_sc_stats_says_here(tmp_path):
    for name in ("reference", *SYSTEMS):
        shutil.copy(SCTK / f"{name}.trn", tmp_path)
    piped = b""
    for name in SYSTEMS:
        files = ["-r", "reference.trn", "trn", "-h", f"{name}.trn", "trn", name]
        command = [*sctk("sclite"), "-i", "rm", "-s", *files, "-o", "sgml", "stdout"]
        aligned = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
        paths = re.findall(r'<PATH id="\((\S+)\)"[^>]*>\n(.*)\n</PATH>', aligned.decode())
        reference, found = (read_trn(SCTK / f"{file}.trn") for file in ("reference", name))
        assert {u: "".join(step[0] for step in line.split(":")) for u, line in paths} == {
            u: align(words, found[u]) for u, words in reference.items()
        }
        piped += aligned
    command = [*sctk("sc_stats"), "-p", "-t", "mapsswe", "-v", "-n", "-"]
    said = subprocess.run(command, input=piped, cwd=tmp_path, capture_output=True, check=True)
    lines = re.findall(
        r"segs: (\d+)\).*mean: +(\S+)\) \(std dev: +(\S+)\) \(Z Stat: +(\S+)\)",
        said.stdout.decode("latin-1"),
    )
    for (first, second), numbers in zip(combinations(SYSTEMS, 2), lines, strict=True):
        values = map(float, numbers)
        agrees(
            dict(zip(("segments", "mean", "deviation", "z"), values, strict=True)), first, second
        )
