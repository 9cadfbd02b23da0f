"""A set divided among jobs is put together as it was."""

import json

import numpy as np
import pytest

from darkknowledge.archives import Archive, write_archive
from darkknowledge.datadir import DataDirectory
from darkknowledge.decoding import Hypothesis
from darkknowledge.errors import DataError
from darkknowledge.parts import gather_archives, part_of, part_of_set, records, write_recognised

SPEAKER = {f"{s}-{n}": s for s in "cab" for n in range(5)}


def test_names_are_divided_among_jobs():
    speakers = ["c", "a", "b", "a", "e", "d"]
    assert [part_of(speakers, part, 3) for part in (1, 2, 3)] == [["a", "d"], ["b", "e"], ["c"]]
    assert part_of("ab", 3, 3) == []


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
def test_every_utterance_is_in_one_part(parts, whole):
    divided = [part_of_set(SPEAKER, part, parts, whole) for part in range(1, parts + 1)]
    together = [utterance for part in divided for utterance in part]
    assert sorted(together) == sorted(SPEAKER)
    assert all(SPEAKER[u] == s for part in divided for u, s in part.items())
    if whole:
        of = [set(part.values()) for part in divided]
        assert sum(map(len, of)) == 3
    else:
        assert max(map(len, divided)) - min(map(len, divided)) <= 1


def test_archives_of_parts_are_the_whole_archive(tmp_path):
    rng = np.random.default_rng(1)
    arrays = {u: rng.normal(size=(4, 3)).astype(np.float32) for u in sorted(SPEAKER)}
    (tmp_path / "whole").mkdir()
    write_archive(tmp_path / "whole" / "x.scp", arrays.items())
    parts = []
    for part in (1, 2, 3):
        (tmp_path / f"{part}").mkdir()
        parts.append(tmp_path / f"{part}" / "x.scp")
        write_archive(parts[-1], ((u, arrays[u]) for u in part_of_set(SPEAKER, part, 3)))
    gather_archives(parts, tmp_path / "x.scp", arrays)
    assert (tmp_path / "x.ark").read_bytes() == (tmp_path / "whole" / "x.ark").read_bytes()
    assert list(Archive(tmp_path / "x.scp")) == sorted(arrays)
    with pytest.raises(DataError, match=r"y\.scp: d-9 is in none of"):
        gather_archives(parts, tmp_path / "y.scp", [*arrays, "d-9"])
    assert not (tmp_path / "y.scp").exists()


def test_hypotheses_are_written_in_one_order_whatever_the_parts(tmp_path):
    data = DataDirectory(
        wav=dict.fromkeys("ab", "x.wav"),
        text={"a": ["ONE", "TWO"], "b": ["TWO"]},
        speaker=dict.fromkeys("ab", "s"),
        condition=dict.fromkeys("ab", "01"),
        duration=dict.fromkeys("ab", 1.0),
    )
    found = records(
        {
            "b": Hypothesis(("TWO",), (3,), (9,), 1.0, False, 10),
            "a": Hypothesis(("ONE",), (0,), (5,), 1.0, True, 10),
        }
    )
    files = [tmp_path / name for name in ("h.trn", "h.ctm", "score.json")]
    write_recognised(json.loads(json.dumps(found)), data, *files, 0.01)
    assert files[0].read_text().splitlines() == ["ONE (a)", "TWO (b)"]
    assert [line.split()[0] for line in files[1].read_text().splitlines()] == ["a", "b"]
    written = json.loads(files[2].read_text())
    assert written["incomplete"] == 1 and written["total"]["errors"] == 1
    with pytest.raises(DataError, match="1 utterances are in no part, first b"):
        write_recognised({"a": found["a"]}, data, *files, 0.01)
