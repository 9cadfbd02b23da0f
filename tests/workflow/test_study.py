"""The tiny study for real: it ends, it is up to date, and only what changed runs again."""

import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from darkknowledge.archives import Archive
from darkknowledge.boundaries import compare_boundaries, read_phones
from darkknowledge.corpora.options import SyntheticOptions
from darkknowledge.corpora.synthetic import phone_times
from darkknowledge.word_errors import count_errors
from tests.browser import look_at, needs_chromium
from tests.workflow.project import ROOT, TINY, Project

HOWS = ("soft", "pretrain")


def processor_seconds() -> float:
    """Return the time that child processes computed, which a busy machine does not lengthen."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_results_are_there_and_mean_something(finished):
    table = list(csv.DictReader((finished.results / "tables" / "table1.csv").open()))
    assert len(table) == 3
    for run in ("dnn", "rnn-0", "rnn-t2-pretrain"):
        folder = finished.results / "networks" / run / "seed1"
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
        first = [row for row in rows if row["phase"] == rows[0]["phase"]]
        assert first[-1]["train_loss"] < 0.9 * first[0]["train_loss"], f"{run}: loss does not fall"
        score = json.loads((finished.results / "decode" / run / "seed1" / "score.json").read_text())
        assert len(score["conditions"]) == 14
        folder = finished.results / "decode" / run / "seed1"
        lattices = json.loads((folder / "lattice_score.json").read_text())
        errors = {name: lattices[name]["total"]["errors"] for name in ("best", "oracle")}
        assert errors["oracle"] <= errors["best"] and lattices["depth"] > 0.5
        assert lattices["decoded"] == score
        assert (folder / "nbest.txt").stat().st_size > 100
    for stage in ("mono", "tri1", "tri2b"):
        assert (finished.results / "decode" / stage / "score.json").is_file()
    pairs = json.loads((finished.results / "significance" / "table1.json").read_text())
    assert [pair["first"] for pair in pairs] == ["rnn-0", "dnn"]  # of the default study's twelve
    for pair in pairs:
        wer = {row["run"]: float(row["wer"]) for row in table}
        assert pair["wer"] == pytest.approx([wer[pair[i]] for i in ("first", "second")], abs=1e-3)
        assert pair["sentences"] == pair["utterances"] / 14
    for picture in ("surfaces", "line", "path", "curvature"):
        assert (finished.results / "figures" / "lstm_loss" / f"{picture}.svg").stat().st_size > 100
    for name in ("report.html", "summary.txt"):
        assert (finished.results / name).stat().st_size > 100
    assert not list(finished.results.rglob("*.tmp")), "a temporary file was left behind"


def test_phone_boundaries_are_those_of_the_synthesiser(finished):
    study = yaml.safe_load(open(TINY).read())
    options = SyntheticOptions(**study["corpora"]["tiny"])
    found = read_phones(finished.results / "alignments" / "train" / "phones.ctm")
    errors = compare_boundaries(found, phone_times(options, "train"))
    assert errors.paired > 0.9
    assert errors.median <= 0.015
    assert errors.within(0.040) >= 0.9


def test_a_finished_study_has_nothing_to_do(finished):
    start = processor_seconds()
    done = finished.run()
    assert "Nothing to be done" in done.stdout
    assert processor_seconds() - start < 5


@pytest.fixture
def copy(finished, tmp_path) -> Project:
    """A copy of the finished study that a test may change."""
    project = Project(tmp_path / "copy")
    for part in ("results", ".snakemake"):
        shutil.copytree(finished.folder / part, project.folder / part)
    assert project.planned() == set()
    return project


def overlay(project: Project, **changes) -> str:
    """Write the tiny study with changes laid over it."""
    study = yaml.safe_load(open(TINY).read())
    for key, value in changes.items():
        if isinstance(value, dict):
            study.setdefault(key, {}).update(value)
        else:
            study[key] = value
    path = project.folder / "changed.yaml"
    path.write_text(yaml.safe_dump(study))
    return str(path)


def results_of(run: str) -> set[str]:
    system = f"{run}/seed1"
    decoded = {f"{rule}:{system}" for rule in ("tune_decoding", "decode", "make_lattices")}
    rule = "train_network_by_epoch" if run == "rnn-0" else "train_network"  # its path is shown
    return {f"{rule}:{run}:1"} | decoded


def trained(jobs: set[str]) -> set[str]:
    """Leave out the local rules that only collect."""
    heavy = ("make_", "extract", "train", "align", "estimate", "write_soft", "tune", "decode")
    return {job for job in jobs if job.startswith(heavy) and not job.startswith("make_table")}


def test_a_changed_run_retrains_itself_and_its_students_alone(copy):
    config = overlay(copy, runs={"rnn-0": {"training": {"epochs": 1}}})
    assert trained(copy.planned(config=config)) == results_of("rnn-0")
    config = overlay(copy, runs={"dnn": {"training": {"epochs": 1}}})
    expected = results_of("dnn") | results_of("rnn-t2-pretrain")
    assert trained(copy.planned(config=config)) == expected | {"write_soft_targets:dnn:1:T2"}


def test_a_new_run_retrains_nothing_that_exists(copy):
    config = overlay(
        copy,
        runs={
            "dnn-t5": {"network": "dnn", "targets": "soft", "teacher": "rnn-0", "temperature": 5}
        },
        tables={"table1": {"runs": ["dnn", "rnn-0", "rnn-t2-pretrain", "dnn-t5"]}},
    )
    new = results_of("dnn-t5") | {"write_soft_targets:rnn-0:1:T5"}
    assert trained(copy.planned(config=config)) == new


def test_a_pretrained_run_goes_on_from_its_soft_twin_with_the_same_result(copy):
    network = copy.results / "networks" / "rnn-t2-pretrain" / "seed1"
    before = (network / "model.pt").read_bytes(), (network / "metrics.jsonl").read_bytes()
    config = overlay(
        copy, tables={"table1": {"runs": ["dnn", "rnn-0", "rnn-t2-soft", "rnn-t2-pretrain"]}}
    )
    assert trained(copy.planned(config=config)) == set().union(
        results_of("rnn-t2-soft"), results_of("rnn-t2-pretrain")
    )
    model = str(network.relative_to(copy.folder) / "model.pt")
    copy.run("--keep-going", model, config=config)
    assert before == ((network / "model.pt").read_bytes(), (network / "metrics.jsonl").read_bytes())
    log = copy.results / "logs" / "train_network" / "rnn-t2-pretrain.seed1.log"
    assert "goes on from" in log.read_text()


def test_an_ensemble_teaches_with_a_cache_of_each_member(copy):
    run = {"network": "dnn", "targets": "soft", "teacher": ["dnn", "rnn-0"], "temperature": 2}
    config = overlay(copy, runs={"both": run}, tables={"table1": {"runs": ["both"]}})
    new = results_of("both") | {"write_soft_targets:rnn-0:1:T2"}
    assert trained(copy.planned(config=config)) == new


def test_a_run_that_diverges_leaves_a_gap_and_stops_nothing_else(copy):
    training = {"optimiser": "sgd", "learning_rate": 1000000.0}
    runs = {
        "wild": {"network": "lstm", "targets": "hard", "training": training},
        "learner": {"network": "dnn", "targets": "soft", "teacher": ["dnn", "wild"]},
    }
    names = ["dnn", "rnn-0", "rnn-t2-pretrain", "wild", "learner"]
    config = overlay(copy, runs=runs, tables={"table1": {"runs": names}})
    copy.run(config=config)
    table = {row["run"]: row for row in csv.DictReader(open(copy.results / "tables/table1.csv"))}
    for run in ("dnn", "rnn-0", "rnn-t2-pretrain"):
        assert table[run]["wer"] and table[run]["cv_fa"] and not table[run]["problem"]
    for run in ("wild", "learner"):
        assert not table[run]["wer"] and not table[run]["cv_fa"]
        assert "wild seed 1: the loss is" in table[run]["problem"]
        assert "at learning rate 1e+06; lower `learning_rate`" in table[run]["problem"]
        folder = copy.results / "decode" / run / "seed1"
        assert "wild" in json.loads((folder / "score.json").read_text())["problem"]
        assert (folder / "hypotheses.trn").read_bytes() == b""
    assert "wild seed 1: the loss is" in (copy.results / "summary.txt").read_text()
    figure = (copy.results / "figures" / "table1" / "learning_curves.svg").read_text()
    assert "Not shown, the training diverged" in figure
    assert "Nothing to be done" in copy.run(config=config).stdout
    training["learning_rate"] = 0.01
    config = overlay(copy, runs=runs, tables={"table1": {"runs": names}})
    expected = results_of("wild") | results_of("learner") | {"write_soft_targets:wild:1:T1"}
    assert trained(copy.planned(config=config)) == expected


def test_jobs_that_divide_a_set_are_no_part_of_the_result(copy):
    before = copy.checksums()
    config = overlay(copy, jobs={"features": 3, "decoding": 2})
    systems = ["mono", "tri1", "tri2b", "dnn/seed1"]
    shutil.rmtree(copy.results / "features" / "test")
    for system in systems:
        shutil.rmtree(copy.results / "decode" / system)
    targets = [f"results/tiny/decode/{system}/score.json" for system in systems]
    trigger = ["--rerun-triggers", "mtime", "--"]
    assert {f"decode_part:{s}:{n}" for s in systems for n in (1, 2)} | {
        *(f"extract_part:test:{n}" for n in (1, 2, 3)),
        *(f"gather_hypotheses:{s}" for s in systems),
        "gather_features:test",
    } <= copy.planned(*trigger, *targets, config=config)
    copy.run(*trigger, *targets, config=config)
    after = copy.checksums()
    made = [
        name for name in after if re.match("features/test/|decode/.*/(hypo|score|tuning)", name)
    ]
    assert len(made) >= 8 + 4 * 4
    assert [name for name in made if before[name] != after[name]] == []
    assert not [name for name in after if re.search("part[0-9]", name)]


def test_speed_is_measured_where_a_table_shows_it(copy):
    columns = ["network_rtf", "rtf"]
    shown = {"runs": ["tri2b", "dnn"], "columns": columns}
    config = overlay(copy, tables={"speed": shown})
    target = ["--", "results/tiny/tables/speed.csv"]
    assert copy.planned(*target, config=config) == {
        "measure_speed:tri2b",
        "measure_speed:dnn/seed1",
        "make_table:speed",
    }
    copy.run(*target, config=config)
    found = list(csv.DictReader((copy.results / "tables" / "speed.csv").open()))
    assert [row["run"] for row in found] == ["tri2b", "dnn"]
    for row in found:
        assert 0 < float(row["network_rtf"]) < float(row["rtf"]) < 2


def test_a_job_that_fails_leaves_the_others_running_and_a_table_with_a_gap(copy):
    soft = {"targets": "soft", "teacher": "dnn", "temperature": 2}
    runs = {"broken": {"network": "lstm", **soft}, "other": {"network": "dnn", "targets": "hard"}}
    config = overlay(copy, runs=runs, tables={"table1": {"runs": ["dnn", "broken", "other"]}})
    cache = copy.results / "soft_targets" / "dnn" / "seed1" / "T2.soft"
    whole, times = cache.read_bytes(), cache.stat()
    cache.write_bytes(whole[:1000])
    os.utime(cache, ns=(times.st_atime_ns, times.st_mtime_ns))
    failed = copy.run("--keep-going", config=config, check=False)
    assert failed.returncode and "Error in rule train_network" in failed.stdout
    assert (copy.results / "decode" / "other" / "seed1" / "score.json").is_file()
    text = (copy.results / "partial.txt").read_text()
    assert text in failed.stdout and "seed 1: no result" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line[:1].isalpha()}
    assert re.search(r"[0-9]\.[0-9]", rows["other"]) and not re.search(r"[0-9]", rows["broken"])
    cache.write_bytes(whole)
    os.utime(cache, ns=(times.st_atime_ns, times.st_mtime_ns))
    copy.run(config=config)
    assert not (copy.results / "partial.txt").exists()


def test_a_study_laid_over_another_adds_its_table_alone(copy):
    weak = str(ROOT / "studies" / "paper2_weak.yaml")
    jobs = copy.planned("--configfile", TINY, weak, config=None)
    new = set().union(*(results_of(f"weak-t{t}-{how}") for t in (1, 2) for how in HOWS))
    new |= results_of("dnn-weak") | results_of("rnn2-0")
    assert trained(jobs) == new | {f"write_soft_targets:dnn-weak:1:T{t}" for t in (1, 2)}
    assert jobs - trained(jobs) == {
        "make_table:weak",
        "test_significance:weak",
        "plot_learning_curves:weak",
        "plot_conditions:weak",
        "write_report",
        "all",
    }


def test_a_sweep_over_the_share_of_the_speakers(copy):
    half = {"network": "lstm", "targets": "soft", "teacher": "dnn", "temperature": 2}
    config = overlay(
        copy,
        runs={"half": half | {"speakers": 0.5}},
        sweeps={"size": {"x": "speakers", "lines": {"LSTM": ["rnn-t2-pretrain", "half"]}}},
    )
    assert trained(copy.planned(config=config)) == results_of("half")
    copy.run("--keep-going", "results/tiny/figures/size/sweep.svg", config=config)
    points = list(csv.DictReader((copy.results / "figures" / "size" / "sweep.csv").open()))
    hours = {row["run"]: float(row["x"]) for row in points}
    assert 0.2 * hours["rnn-t2-pretrain"] < hours["half"] < 0.8 * hours["rnn-t2-pretrain"]
    assert all(float(row["wer"]) > 0 and float(row["cv_fa"]) > 0 for row in points)


def transcribed(project, run, audio) -> list[dict]:
    """What an exported run makes of audio files."""
    command = [sys.executable, "-m", "darkknowledge.transcribe", run, *audio]
    command += ["--format", "json", "--confidence"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def share_wrong(project, found: list[dict]) -> float:
    """Errors per word of files of the test set."""
    text = (project.results / "data/test/text").read_text().splitlines()
    said = {line.split()[0]: line.split()[1:] for line in text}
    pairs = [(said[Path(one["file"]).stem], one["text"].split()) for one in found]
    errors = sum(count_errors(reference, words).errors for reference, words in pairs)
    return errors / sum(len(reference) for reference, _ in pairs)


def test_a_recurrent_teacher_of_adapted_features(copy):
    training = {"batch": 64, "streams": 2, "epochs": 6, "learning_rate": 0.003}
    small = {"kind": "dnn", "input": "fmllr", "layers": 1, "units": 64, "lda": 60}
    blstm = {"kind": "blstm", "input": "fmllr", "units": 32, "splice": 2, "below": [64]}
    soft = {"network": "small", "targets": "soft", "teacher": "rnn"}
    config = overlay(
        copy,
        hmm={
            "stages": ["mono", "tri1", "tri2b", "tri3b"],
            "tri3b": {"tree": {"leaves": 100}, "gaussians": 600},
        },
        decoding={"lattice_beam": None},
        jobs={"decoding": 2},
        networks={
            "small": {**small, "training": training},
            "blstm": {**blstm, "training": training},
        },
        runs={
            "rnn": {"network": "blstm", "targets": "hard"},
            "one": {**soft, "soft_targets": {"most": 1}},
            "most": {**soft, "soft_targets": {"mass": 0.9}},
            "smbr": {**soft, "targets": "smbr", "start": "one"},
            "own": {"network": "small", "start": "one", "adapt": True},
            "taught": {**soft, "start": "one", "adapt": True},
        },
        sequence={"beam": 9, "lattice_beam": 4, "max_active": 500},
        tables={
            "table1": None,
            "small": {
                "runs": ["tri3b", "rnn", "one", "most", "smbr", "own", "taught"],
                "columns": ["cache_bytes"],
                "pairs": [["one", "own"], ["one", "taught"]],
            },
        },
    )
    jobs = trained(copy.planned(config=config))
    assert {"make_competitor_graph", "make_training_lattices:one:1"} <= jobs
    assert {f"write_soft_targets:rnn:1:T1-{kind}" for kind in ("most1", "mass0.9")} <= jobs
    assert not {job for job in jobs if job.startswith(("extract", "train_mono", "align"))}
    copy.run(config=config)
    table = {row["run"]: row for row in csv.DictReader(open(copy.results / "tables/small.csv"))}
    assert all(float(row["wer"]) < 95 for row in table.values())
    figures = copy.results / "figures" / "small"
    conditions, curves = (
        set(re.findall(r"<!-- (one|own|taught) -->", (figures / f"{name}.svg").read_text()))
        for name in ("conditions", "learning_curves")
    )
    assert conditions == {"one", "own", "taught"} and curves == {"one"}
    assert float(table["one"]["cache_bytes"]) == 2 + 3
    assert float(table["most"]["cache_bytes"]) > 2 + 3 * 1.5
    for name in ("train", "dev", "test"):
        assert (copy.results / "features" / name / "cmvn_fmllr.scp").is_file()
    rows = [
        json.loads(line) for line in (copy.results / "networks/smbr/seed1/metrics.jsonl").open()
    ]
    assert rows[-1]["train_expected"] > rows[0]["train_expected"] > 20
    assert "Nothing to be done" in copy.run(config=config).stdout
    # a network of adapted features takes what adapts them along
    export = copy.results / "export" / "one" / "seed1"
    copy.run("--", str(export.relative_to(copy.folder) / "score.json"), config=config)
    score = json.loads((export / "score.json").read_text())["float32"]["total"]
    decoded = json.loads((copy.results / "decode/one/seed1/score.json").read_text())["total"]
    assert abs(score["errors"] - decoded["errors"]) <= 2
    audio = sorted((copy.results / "data/test/audio").glob("*-c01.wav"))
    assert share_wrong(copy, transcribed(copy, export, audio)) < 0.5
    failed = copy.run("--", "results/tiny/export/own/seed1/score.json", config=config, check=False)
    assert "own: each speaker of the test set has a network of its own" in failed.stdout


def test_scores_and_lattices_for_other_tools_are_made_on_demand(copy):
    scores, lattices = "scores/dnn/seed1/test.scp", "decode/dnn/seed1/lattices.txt"
    copy.run("--", *(f"results/tiny/{file}" for file in (scores, lattices)))
    likelihoods = Archive(copy.results / scores)
    lines = (copy.results / lattices).read_text().split("\n\n")
    spoken = {block.splitlines()[0].strip() for block in lines if block.strip()}
    assert spoken and spoken <= set(likelihoods)
    assert len({array.shape[1] for _, array in likelihoods.items()}) == 1


def test_an_exported_run_recognises_by_itself(copy):
    export = copy.results / "export" / "rnn-0" / "seed1"
    copy.run("--keep-going", str(export.relative_to(copy.folder) / "score.json"))
    score = json.loads((export / "score.json").read_text())
    decoded = json.loads((copy.results / "decode/rnn-0/seed1/score.json").read_text())
    errors = {name: part["total"]["errors"] for name, part in score.items()}
    assert abs(errors["float32"] - decoded["total"]["errors"]) <= 2
    assert errors["int8"] < 1.3 * errors["float32"] + 5
    assert score["int8"]["bytes"] < 0.5 * score["float32"]["bytes"]
    moved = copy.folder / "moved"
    export.rename(moved)
    audio = sorted((copy.results / "data/test/audio").glob("*-c01.wav"))
    found = transcribed(copy, moved, audio)
    assert share_wrong(copy, found) < 0.9
    words = [word for one in found for word in one["words"]]
    assert all(0 < word["confidence"] <= 1 and word["start"] < word["end"] for word in words)


def test_another_lattice_beam_makes_the_lattices_alone(copy):
    jobs = trained(copy.planned(config=overlay(copy, decoding={"lattice_beam": 2})))
    assert len(jobs) == 6 and all(job.startswith("make_lattices:") for job in jobs)
    assert trained(copy.planned(config=overlay(copy, decoding={"lattice_beam": None}))) == set()


def test_pronunciation_probabilities_change_graphs_alone(copy):
    config = overlay(copy, graph={"pronunciation_probabilities": True})
    stages = ("mono", "tri1", "tri2b")
    systems = (*stages, *(f"{run}/seed1" for run in ("dnn", "rnn-0", "rnn-t2-pretrain")))
    expected = {"estimate_pronunciations"}
    expected |= {f"make_graph:{stage}" for stage in stages}
    decoding = ("tune_decoding", "decode", "make_lattices")
    expected |= {f"{rule}:{s}" for rule in decoding for s in systems}
    assert trained(copy.planned(config=config)) == expected
    graphs = {s: (copy.results / "graph" / s / "HCLG.fst").read_bytes() for s in stages}
    copy.run("--keep-going", "graphs", config=config)
    for name in ("lexiconp.txt", "lexiconp_silprob.txt", "silprob.txt"):
        assert (copy.results / "graph" / "pronunciations" / name).stat().st_size > 30
    for stage, before in graphs.items():
        assert (copy.results / "graph" / stage / "HCLG.fst").read_bytes() != before
    assert "Nothing to be done" in copy.run("--keep-going", "graphs", config=config).stdout


def edit(copy: Project, name: str, old: str, new: str) -> None:
    path = copy.folder / "darkknowledge" / name
    text = path.read_text()
    assert old in text, f"{name} has no {old!r}"
    path.write_text(text.replace(old, new, 1))


def test_a_changed_line_reruns_the_rules_that_use_it_alone(copy):
    original = (copy.folder / "darkknowledge" / "scoring.py").read_text()
    (copy.folder / "darkknowledge" / "scoring.py").write_text(original + "\nEXTRA = 1\n")
    jobs = copy.planned()
    assert any(job.startswith("decode:") for job in jobs)
    assert not any(job.startswith(("train_", "align", "extract", "make_set")) for job in jobs)
    (copy.folder / "darkknowledge" / "scoring.py").write_text(original)
    assert copy.planned() == set()

    training = (copy.folder / "darkknowledge" / "training.py").read_text()
    (copy.folder / "darkknowledge" / "training.py").write_text(training + "\nEXTRA = 1\n")
    jobs = copy.planned()
    assert any(job.startswith("train_network") for job in jobs)
    assert not any(
        job.startswith(("train_mono", "align", "extract", "make_"))
        for job in jobs
        if not job.startswith(("make_table", "make_lattices"))
    )


def test_touch_comments_and_checkouts_rerun_nothing(copy):
    library = sorted((copy.folder / "darkknowledge").rglob("*.py"))
    scripts = sorted((copy.folder / "scripts").glob("*.py"))
    for path in (*library, *scripts, copy.folder / "Snakefile", copy.folder / "config.yaml"):
        path.touch()
    assert copy.planned() == set()
    for path in (*library, *scripts):
        path.write_text(path.read_text() + "\n# A comment.\n")
    assert copy.planned() == set()

    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", *identity, *arguments], cwd=copy.folder, check=True)

    git("init", "-q", "-b", "one")
    git("add", "Snakefile", "config.yaml", "rules", "scripts", "darkknowledge")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "two")
    edit(copy, "training.py", "import math", "import math  # changed\n\nEXTRA = 1")
    git("commit", "-qam", "two")
    git("checkout", "-q", "one")
    git("checkout", "-q", "two")
    git("checkout", "-q", "one")
    assert copy.planned() == set()


def test_a_dry_run_of_a_fresh_clone_is_quick_and_light(tmp_path):
    project = Project(tmp_path / "fresh")
    start = processor_seconds()
    done = project.run("-n", config=None)
    assert "train_network" in done.stdout
    assert processor_seconds() - start < 5
    code = """
import sys
from snakemake.cli import main
try:
    main(["-n", "--quiet", "all"])
except SystemExit as end:
    assert not end.code
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=project.folder, check=True)


@pytest.mark.parametrize(
    "target",
    [
        "features",
        "alignments",
        "graphs",
        "teacher",
        "students",
        "tables",
        "table1",
        "figures",
        "lattices",
    ],
)
def test_every_target_is_known(finished, target):
    assert "Nothing to be done" in finished.run("-n", target).stdout


@needs_chromium
def test_the_report_of_a_study_opens_without_a_fault(finished, tmp_path):
    report = finished.results / "report.html"
    assert report.stat().st_size < 5e6
    for told in look_at(report, tmp_path):
        assert told["problems"] == told["spoken"] == []
        assert told["needed"] <= told["width"]
        assert len(told["images"]) == 9 and min(told["images"]) > 100


def test_the_report_tells_where_every_number_comes_from(finished):
    text = (finished.results / "report.html").read_text()
    cost, _, rest = text.partition('<h2 id="cost">')[2].partition('<h2 id="configuration">')
    for rule in ("train_network", "train_triphones", "decode", "make_set"):
        assert f"<td class=text>{rule}</td>" in cost
    provenance = rest.partition('<h2 id="provenance">')[2]
    assert "not recorded" not in cost + provenance
    assert "snakemake" in provenance and f"--configfile {TINY}" in provenance
    corpus = text.partition('<h2 id="corpus">')[2].partition("</table>")[0]
    assert "not known" not in corpus and " to " in corpus


def test_trainings_tell_how_far_they_are(finished):
    watch = [sys.executable, "-m", "darkknowledge.watch"]
    for study in (["config.yaml", TINY], ["results/tiny"]):
        done = subprocess.run(
            [*watch, *study], cwd=finished.folder, capture_output=True, text=True, check=True
        )
        assert "3 networks: 3 done" in done.stdout


def test_a_mistake_stops_before_any_job(tmp_path):
    project = Project(tmp_path / "wrong")
    config = overlay(project, runs={"rnn-0": {"teachr": "dnn"}}, seeds=[])
    done = project.run(config=config, check=False)
    assert done.returncode
    assert "runs.rnn-0.teachr: unknown key; did you mean 'teacher'?" in done.stdout
    assert "seeds: []" in done.stdout
    assert not (project.folder / "results").exists()


def test_the_workflow_passes_its_linter():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True
    )
    assert "Congratulations" in done.stdout + done.stderr, done.stdout + done.stderr
