"""Jobs ask for what their data needs, and for twice as much after a failure."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from darkknowledge.overlays import lay, read_studies
from darkknowledge.resources import Needs
from darkknowledge.study import load_study

ROOT = Path(__file__).parents[2]
RULES = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
KINDS = sorted(set(re.findall(r'needs\("(\w+)"\)', RULES)))
JOB = SimpleNamespace(set="train", run="rnn-t2-reg", seed="1", system="rnn-0/seed1")


def study(*names, **changes):
    files = [ROOT / "config.yaml", *(ROOT / "studies" / f"{name}.yaml" for name in names)]
    return load_study(lay(read_studies(files), changes))


def asked(kind, needs, job=JOB, attempt=1) -> tuple[int, int]:
    found = needs(kind)
    return found["mem_mb"](job, attempt), found["runtime"](job, attempt)


def test_every_rule_with_a_script_asks_for_memory_and_time():
    scripts, needs = (re.findall(part, RULES, re.M) for part in (r"^ *script:", r"\*\*needs\("))
    assert len(scripts) == len(needs) > 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_attempt_asks_for_twice_as_much(kind, tmp_path):
    needs = Needs(study("mini_aurora"), tmp_path)
    (memory, minutes), (more, longer) = asked(kind, needs), asked(kind, needs, attempt=2)
    assert memory >= 1000 and minutes >= 15
    assert abs(more - 2 * memory) <= 1 and abs(longer - 2 * minutes) <= 1


def test_hours_are_those_of_the_set_once_it_is_there(tmp_path):
    needs = Needs(study(), tmp_path)
    planned = needs.hours("test")
    assert planned == study().corpus.expected_hours["test"]
    file = tmp_path / "data" / "test" / "utt2dur"
    file.parent.mkdir(parents=True)
    file.write_text("a 1800\nb 5400\n")
    assert needs.hours("test") == 2
    assert needs.frames("test") == 720_000
    assert asked("decode", needs)[1] == 15 + 20 * 2
    file.write_text("a 3600\n")
    assert needs.hours("test") == 1
    file.write_text("half a li")
    assert needs.hours("test") == planned


def test_memory_grows_with_graph_and_language_model(tmp_path):
    needs = Needs(study(), tmp_path)
    for path, size, kind in (
        ("graph/tri2b/HCLG.fst", 50_000_000, "decode"),
        ("lang/lm.arpa", 4_000_000, "graph"),
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True)
        file.write_bytes(b"\0" * size)
        memory = asked(kind, needs)[0]
        file.write_bytes(b"\0" * 2 * size)
        assert asked(kind, needs)[0] == 2 * memory - 1000


def test_a_network_asks_by_frames_pdfs_and_soft_targets(tmp_path):
    def train(run, **changes):
        return asked("train", Needs(study(**changes), tmp_path), SimpleNamespace(run=run))

    more_pdfs = {"hmm": {"tri2b": {"tree": {"leaves": 9000}}}}
    assert train("rnn-0")[0] < train("rnn-t1-soft")[0] < train("rnn-t2-soft")[0]
    assert train("rnn-t2-soft")[0] < train("rnn-t2-soft", **more_pdfs)[0]
    small, large = study("mini_aurora"), study("aurora4")
    job = SimpleNamespace(run="rnn-0")
    (memory, minutes), (more, longer) = (
        asked("train", Needs(one, tmp_path), job) for one in (small, large)
    )
    assert memory < more and minutes < longer


def test_a_site_names_the_rules_that_use_a_gpu():
    used = {
        text.split(":")[0] for text in re.split(r"^rule ", RULES, flags=re.M) if "gpu=1" in text
    }
    used |= {
        new for old, new in re.findall(r"^use rule (\w+) as (\w+)", RULES, re.M) if old in used
    }
    site = yaml.safe_load((ROOT / "slurm" / "site.example.yaml").read_text())
    assert set(site["__variables__"]["gpu_rules"]) == used and len(used) > 3
