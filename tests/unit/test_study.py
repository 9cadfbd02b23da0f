import copy
from pathlib import Path

import pytest
import yaml

from darkknowledge.overlays import read_studies
from darkknowledge.papers import PAPERS
from darkknowledge.study import StudyError, load_study

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
LANDSCAPES = DEFAULT.pop("landscapes")  # which need runs that the tests below leave out


def study(**changes):
    config = copy.deepcopy(DEFAULT)
    for path, value in changes.items():
        place = config
        *parents, key = path.split("__")
        for parent in parents:
            place = place[parent.replace("_", "-") if parent not in place else parent]
        place[key] = value
    return config


def mistakes(config) -> list[str]:
    with pytest.raises(StudyError) as caught:
        load_study(config)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_the_default_study_is_right():
    loaded = load_study(DEFAULT)
    assert loaded.table_runs[0] == "dnn"
    assert len(loaded.tables["table1"].runs) == 8
    assert loaded.teachers() == ["dnn"]
    loaded = load_study({**DEFAULT, "landscapes": LANDSCAPES})
    (landscape,) = loaded.reported_landscapes.values()
    assert set(landscape.needed_runs) <= set(loaded.table_runs)


def run_with(**changes):
    config = copy.deepcopy(DEFAULT)
    config["runs"]["rnn-t2-soft"].update(changes)
    return config


def test_a_misspelt_key_names_the_nearest():
    config = copy.deepcopy(DEFAULT)
    run = config["runs"]["rnn-t2-soft"]
    run["teachr"] = run.pop("teacher")
    found = "\n".join(mistakes(config))
    assert "runs.rnn-t2-soft.teachr: unknown key; did you mean 'teacher'?" in found
    assert "runs.rnn-t2-soft.teacher: missing; targets 'soft' are learnt from a teacher" in found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"teacher": "dnm"}, "runs.rnn-t2-soft.teacher: no run 'dnm'; did you mean 'dnn'?"),
        ({"network": "lstmm"}, "runs.rnn-t2-soft.network: no network 'lstmm'; did you mean 'lstm'"),
        ({"temperature": 0}, "runs.rnn-t2-soft.temperature: 0; "),
        ({"temperature": -1.5}, "runs.rnn-t2-soft.temperature: -1.5; "),
        ({"temperature": "warm"}, "runs.rnn-t2-soft.temperature: 'warm'; "),
        ({"targets": "softt"}, "runs.rnn-t2-soft.targets: 'softt'; "),
        (
            {"training": {"epohcs": 3}},
            "runs.rnn-t2-soft.training.epohcs: unknown key; did you",
        ),
        ({"teacher": "rnn-t2-soft"}, "a cycle of teachers and starts: rnn-t2-soft -> rnn-t2-soft"),
        (
            {"teacher": ["dnn", "rnn-t2-soft"]},
            "a cycle of teachers and starts: rnn-t2-soft -> rnn-t2-soft",
        ),
        ({"teacher": ["dnn", "dnm"]}, "runs.rnn-t2-soft.teacher: no run 'dnm'; did you mean 'dnn'"),
        ({"teacher": ["dnn", "dnn"]}, "['dnn', 'dnn']; each teacher may stand there once"),
        ({"teacher": []}, "runs.rnn-t2-soft.teacher"),
        ({"teacher": [["dnn"]]}, "runs.rnn-t2-soft.teacher"),
    ],
)
def test_a_wrong_run_is_named(changes, expected):
    assert any(expected in line for line in mistakes(run_with(**changes)))


def test_a_longer_cycle_is_named_once():
    config = copy.deepcopy(DEFAULT)
    config["runs"]["dnn"].update(targets="soft", teacher="rnn-t1-soft")
    cycles = [line for line in mistakes(config) if "cycle" in line]
    assert len(cycles) == 1
    assert "dnn -> rnn-t1-soft -> dnn" in cycles[0] or "rnn-t1-soft -> dnn -> rnn" in cycles[0]


def test_teachers_may_be_an_ensemble():
    config = run_with(teacher=["dnn", "rnn-0"])
    loaded = load_study(config)
    assert loaded.runs["rnn-t2-soft"].teachers == ["dnn", "rnn-0"]
    assert loaded.runs["dnn"].teachers == []
    assert loaded.teachers() == ["dnn", "rnn-0"]
    config["runs"]["rnn-0"].update(targets="soft", teacher=["dnn", "rnn-t2-soft"])
    cycles = [line for line in mistakes(config) if "cycle" in line]
    assert len(cycles) == 1 and "rnn-0 -> rnn-t2-soft -> rnn-0" in cycles[0]


def test_tables_seeds_and_top_level_are_checked_together():
    config = copy.deepcopy(DEFAULT)
    config["tables"]["table1"]["runs"][0] = "dnnn"
    config["seeds"] = []
    config["nmae"] = config.pop("name")
    config["corpus"] = "synthetc"
    found = "\n".join(mistakes(config))
    for expected in (
        "tables.table1.0: no run or GMM stage 'dnnn'; did you mean 'dnn'?",
        "seeds: []; ",
        "nmae: unknown key; did you mean 'name'?",
        "corpus: no corpus 'synthetc'; did you mean 'synthetic'?",
    ):
        assert expected in found


def test_a_table_may_hold_gmm_stages():
    config = copy.deepcopy(DEFAULT)
    config["tables"]["table1"]["runs"].insert(0, "tri1")
    loaded = load_study(config)
    assert loaded.tables["table1"].runs[:2] == ["tri1", "dnn"]
    assert loaded.table_runs == load_study(DEFAULT).table_runs
    assert loaded.teachers() == ["dnn"]


def test_a_run_may_not_have_the_name_of_a_gmm_stage():
    config = copy.deepcopy(DEFAULT)
    config["runs"]["mono"] = {"network": "dnn"}
    assert "runs.mono: the name of a GMM stage; choose another" in mistakes(config)


def test_a_missing_directory_says_where_to_get_it(tmp_path):
    config = yaml.safe_load((ROOT / "studies" / "mini_aurora.yaml").read_text())
    merged = copy.deepcopy(DEFAULT)
    merged["corpora"].update(config["corpora"])
    merged["corpus"] = config["corpus"]
    merged["data_root"] = str(tmp_path)
    found = "\n".join(load_study(merged).absent())
    assert "LibriSpeech/dev-clean" in found
    assert "openslr" in found.lower()
    assert "ESC" in found


def test_a_new_run_or_an_unused_default_changes_no_other_run():
    before = load_study(DEFAULT)
    config = copy.deepcopy(DEFAULT)
    config["runs"]["dnn-2"] = {"network": "dnn", "targets": "soft", "teacher": "rnn-0"}
    after = load_study(config)
    for run in before.runs:
        assert before.run_options(run) == after.run_options(run)
    assert before.corpus_options() == after.corpus_options()


def test_a_network_must_suit_its_initialisation():
    loaded = load_study(study(runs__dnn__training={"initialisation": "rbm"}))
    assert loaded.run_options("dnn")["training"]["initialisation"] == "rbm"
    (line,) = mistakes(run_with(training={"initialisation": "layerwise"}))
    place = "runs.rnn-t2-soft.training.initialisation"
    assert line == f"{place}: 'layerwise'; a network of kind lstm starts 'random'"
    config = study(networks__dnn__activation="relu")
    config["networks"]["dnn"]["training"]["initialisation"] = "rbm"
    (line,) = mistakes(config)
    assert line.endswith("initialisation: 'rbm' is for sigmoid units; this network's are relu")


def test_a_changed_value_changes_that_run_alone():
    before = load_study(DEFAULT)
    after = load_study(run_with(training={"epochs": 3}))
    changed = [run for run in before.runs if before.run_options(run) != after.run_options(run)]
    assert changed == ["rnn-t2-soft"]


def test_training_options_of_all_networks():
    networks = study(networks__dnn__training={"precision": "float32", "epochs": 12})
    config = {**networks, "training": {"precision": "bf16", "epochs": 3}}
    config["runs"]["rnn-0"]["training"] = {"epochs": 5}
    loaded = load_study(config)
    kept = {run: (how.precision, how.epochs) for run, how in loaded.training.items()}
    assert kept["dnn"] == ("float32", 12)
    assert kept["rnn-0"] == ("bf16", 5) and kept["rnn-t1-reg"] == ("bf16", 18)
    assert loaded.networks["lstm"].training.precision == "bf16"
    written_out = study(networks__dnn__training={"precision": "float32", "epochs": 12})
    written_out["networks"]["lstm"]["training"]["precision"] = "bf16"
    for run in ("dnn", "rnn-t1-reg"):
        assert loaded.run_options(run) == load_study(written_out).run_options(run)
    (line,) = mistakes({**DEFAULT, "training": {"precison": "bf16"}})
    assert line.startswith("training.precison: unknown key; did you mean 'precision'?")


def test_a_larger_vocabulary_makes_no_audio_anew():
    before = load_study(DEFAULT)
    after = load_study(study(corpora__synthetic__lm_sentences=20000))
    assert before.corpus_options(language=False) == after.corpus_options(language=False)
    assert before.corpus_options() != after.corpus_options()


def test_the_keys_of_a_kind_are_its_own():
    config = copy.deepcopy(DEFAULT)
    config["corpora"]["own"] = {"kind": "kaldi", "trian": "x", "dev": "dev", "test": "test"}
    (line,) = [line for line in mistakes(config) if "unknown key" in line]
    assert "corpora.own.trian: unknown key; did you mean 'train'?" in line
    assert "lexicon" in line and "noise_classes" not in line
    assert "corpora.own.lexicon: missing; this key is required" in mistakes(config)


def test_feature_archives_are_those_of_the_set():
    config = copy.deepcopy(DEFAULT)
    assert load_study(config).given_features("dev") == {}
    own = {"kind": "kaldi", "train": "a", "dev": "b", "test": "c", "lexicon": "d"}
    own["mfcc"] = {"train": "t.scp", "dev": "d.scp", "test": "/e.scp"}
    config["corpora"]["own"] = own
    config["data_root"] = "root"
    config["corpus"] = "own"
    loaded = load_study(config)
    assert any("/e.scp" in line for line in loaded.absent())
    assert loaded.given_features("dev") == {"mfcc": "root/d.scp"}
    assert loaded.given_features("test") == {"mfcc": "/e.scp"}
    assert loaded.corpus_options()["mfcc"] == own["mfcc"]
    assert loaded.arpa is None


def test_a_bidirectional_network_reads_whole_utterances():
    config = run_with(network="blstm")
    config["networks"]["blstm"] = {"kind": "blstm", "training": {"streams": 8}}
    assert load_study(config).training["rnn-t2-soft"].streams == 8
    config["networks"]["blstm"]["training"]["frames"] = 20
    (line,) = mistakes(config)
    assert line.startswith("runs.rnn-t2-soft.training.frames: 20; a network of kind blstm reads")


SMBR = {"targets": "smbr", "start": "rnn-0", "teacher": None}


def test_a_run_starts_from_another_and_its_lattices():
    config = run_with(**SMBR)
    del config["runs"]["rnn-t2-soft"]["teacher"]
    loaded = load_study(config)
    assert loaded.lattice_runs == ["rnn-0"]
    assert loaded.runs["rnn-t2-soft"].before == ["rnn-0"]
    config["tables"] = {"t": ["rnn-t2-soft"]}
    assert load_study(config).needed_runs == ["rnn-t2-soft", "rnn-0"]
    assert load_study(config).teachers() == []
    del config["runs"]["rnn-t2-soft"]["start"]
    (line,) = mistakes(config)
    assert line.startswith("runs.rnn-t2-soft.start: missing; targets 'smbr' need a run that makes")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"start": "rnn"}, "runs.rnn-t2-soft.start: no run 'rnn'; did you mean"),
        ({"start": "dnn"}, "runs.rnn-t2-soft.start: 'dnn' has the network 'dnn', this run 'lstm'"),
        ({"start": "rnn-t2-soft"}, "a cycle of teachers and starts: rnn-t2-soft -> rnn-t2-soft"),
        ({"training": {"update": "gates"}}, "runs.rnn-t2-soft.training.update: 'gates'; a network"),
        ({"smoothing": 0.1}, "smoothing has no effect on targets 'soft'; remove it"),
        ({"targets": "smbr", "start": "rnn-0", "boost": 0.1}, "boost has no effect on targets"),
    ],
)
def test_a_wrong_start_is_named(changes, expected):
    assert any(expected in line for line in mistakes(run_with(**changes)))


def test_runs_that_are_adapted_to_speakers():
    config = run_with(adapt=True, start="rnn-0", temperature=1)
    loaded = load_study(config)
    assert "rnn-t2-soft" in loaded.shown_runs and "rnn-t2-soft" not in loaded.trained_runs
    assert not any("rnn-t2-soft" in loaded.network_runs(name) for name in loaded.tables)
    assert loaded.runs["rnn-t2-soft"].before == ["dnn", "rnn-0"]
    for changes, expected in (
        ({"adapt": True}, "runs.rnn-t2-soft.adapt: needs `start` and targets"),
        ({"adapt": True, "start": "rnn-0", "targets": "reg"}, "here are targets 'reg'"),
        ({"adapt": True, "start": "rnn-0", "speakers": 0.5}, "runs.rnn-t2-soft.speakers: no"),
    ):
        assert any(expected in line for line in mistakes(run_with(**changes)))
    config["runs"]["late"] = {"network": "lstm", "start": "rnn-t2-soft", "targets": "hard"}
    config["runs"]["taught"] = {"network": "lstm", "teacher": "rnn-t2-soft", "targets": "soft"}
    found = mistakes(config)
    assert "runs.late.start: 'rnn-t2-soft' is adapted to each speaker; name another" in found
    assert "runs.taught.teacher: 'rnn-t2-soft' is adapted to each speaker; name another" in found


def test_adapted_features_need_the_adaptive_stage():
    config = study()
    config["networks"]["dnn"]["input"] = "fmllr"
    (line,) = mistakes(config)
    assert line == (
        "networks.dnn.input: 'fmllr' is made by the stage tri3b; set hmm.stages to "
        "[mono, tri1, tri2b, tri3b]"
    )
    config["hmm"] = {"stages": ["mono", "tri1", "tri2b", "tri3b"]}
    loaded = load_study(config)
    assert [loaded.input_kind(run) for run in ("dnn", "rnn-0")] == ["fmllr", "fbank"]


def test_a_run_may_store_its_soft_targets_otherwise():
    config = run_with(soft_targets={"most": 1, "mass": 0.98})
    loaded = load_study(config)
    assert ("dnn", "T2-mass0.98-most1") in loaded.caches
    temperature, stored = loaded.cache_kinds["T2-mass0.98-most1"]
    assert (temperature, stored.most, stored.quantisation) == (2, 1, "log8")
    assert loaded.run_options("rnn-t2-soft") == load_study(run_with()).run_options("rnn-t2-soft")
    config["soft_targets"] = {"most": 1, "quantisation": "linear16"}
    assert ("dnn", "T2-mass0.98") in load_study(config).caches
    config["runs"]["rnn-t2-soft"]["soft_targets"] = {"most": None}
    assert ("dnn", "T2-mostall") in load_study(config).caches


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"soft_targets": {"mas": 0.5}}, "runs.rnn-t2-soft.soft_targets.mas: unknown key; did you"),
        ({"soft_targets": {"mass": 1.5}}, "runs.rnn-t2-soft.soft_targets.mass: 1.5; "),
        (
            {"soft_targets": {"most": 1}, "targets": "logits", "temperature": None},
            "runs.rnn-t2-soft.soft_targets: no effect on targets 'logits'; remove the key",
        ),
    ],
)
def test_wrong_storage_of_soft_targets(changes, expected):
    config = run_with(**changes)
    config["runs"]["rnn-t2-soft"] = {
        key: value for key, value in config["runs"]["rnn-t2-soft"].items() if value is not None
    }
    assert any(line.startswith(expected) for line in mistakes(config))


def swept(**changes):
    sweep = {"x": "temperature", "lines": {"soft": ["rnn-t1-soft", "rnn-t2-soft"]}}
    return study() | {"sweeps": {"t": sweep | {"baseline": ["dnn"]} | changes}}


def test_runs_of_a_sweep_are_shown_and_their_teachers_trained():
    config = swept() | {"tables": {}}
    loaded = load_study(config)
    assert loaded.shown_runs == ["dnn", "rnn-t1-soft", "rnn-t2-soft"]
    assert loaded.table_runs == []
    config["sweeps"]["t"]["baseline"] = []
    assert load_study(config).needed_runs == ["rnn-t1-soft", "rnn-t2-soft", "dnn"]
    assert load_study(config).caches == [("dnn", "T1"), ("dnn", "T2")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"x": "temprature"}, "sweeps.t.x: 'temprature'; "),
        ({"lines": {"soft": ["rnn-t1-sof"]}}, "sweeps.t.lines.soft: no run 'rnn-t1-sof'; did you"),
        ({"lines": {"a": ["rnn-0"]}}, "sweeps.t.lines.a: temperature has no effect on rnn-0, of"),
        ({"x": "alpha"}, "sweeps.t.lines.soft: alpha has no effect on rnn-t1-soft, of targets"),
        ({"baseline": ["mono"]}, "sweeps.t.baseline: no run 'mono'"),
        ({"lines": {}}, "sweeps.t.lines: {}; "),
    ],
)
def test_a_wrong_sweep_is_named(changes, expected):
    assert any(line.startswith(expected) for line in mistakes(swept(**changes)))


def test_a_share_of_the_speakers_is_an_option_of_its_run_alone():
    before, after = load_study(DEFAULT), load_study(run_with(speakers=0.5))
    assert after.run_options("rnn-t2-soft") == before.run_options("rnn-t2-soft") | {"speakers": 0.5}
    assert after.run_options("rnn-0") == before.run_options("rnn-0")
    assert any("runs.rnn-t2-soft.speakers: 1.5; " in m for m in mistakes(run_with(speakers=1.5)))
    assert any("runs.rnn-t2-soft.speakers: 0; " in m for m in mistakes(run_with(speakers=0)))


@pytest.mark.parametrize("name", ["temperatures", "data_size"])
def test_shipped_sweeps_train_nothing_anew(name):
    alone, swept = load_study(merged("mini_aurora")), load_study(merged("mini_aurora", name))
    for run in alone.runs:
        assert alone.run_options(run) == swept.run_options(run)
    (sweep,) = swept.sweeps.values()
    for line in sweep.lines.values():
        values = [getattr(swept.runs[run], sweep.x) for run in line]
        assert len(set(values)) == len(values)
    for run in swept.runs.values():
        if run.teacher:
            assert swept.runs[run.teacher].speakers == run.speakers


def test_hours_change_no_result():
    config = copy.deepcopy(DEFAULT)
    own = {"kind": "kaldi", "train": "a", "dev": "b", "test": "c", "lexicon": "d"}
    config.update(corpus="own", corpora={"own": own})
    before = load_study(config).corpus_options()
    own["hours"] = {"train": 15.1}
    assert load_study(config).corpus_options() == before


def merged(*names):
    """Lay shipped studies over the default one."""
    return read_studies([ROOT / "config.yaml", *(ROOT / "studies" / f"{n}.yaml" for n in names)])


def test_the_papers_own_study_is_theirs():
    loaded = load_study(merged("aurora4"))
    assert len(loaded.absent()) == 5
    dnn, lstm = loaded.networks["dnn"], loaded.networks["lstm-2"]
    assert (dnn.layers, dnn.units, dnn.lda, dnn.splice, dnn.activation) == (
        4,
        2048,
        200,
        5,
        "sigmoid",
    )
    assert (lstm.layers, lstm.units, lstm.projection, lstm.delay) == (2, 800, 512, 5)
    training = loaded.training["rnn-t2-pretrain"]
    assert (training.streams, training.frames, training.learning_rate) == (4, 20, 0.0001)
    assert (training.optimiser, training.loss, training.momentum) == ("sgd", "sum", 0.9)
    assert training.halving_factor == 0.5 and training.finetune_epochs is None
    assert loaded.networks["dnn-weak"] == dnn.model_copy(update={"layers": 1})


def test_a_pretrained_run_goes_on_from_its_soft_twin():
    study = merged() | {"landscapes": {}}
    study["runs"]["other"] = study["runs"]["rnn-t1-pretrain"] | {"speakers": 0.5}
    study["tables"]["table1"]["runs"].append("other")
    loaded = load_study(study)
    first = {run: loaded.first_phase(run) for run in loaded.runs}
    assert {run: twin for run, twin in first.items() if twin} == {
        "rnn-t1-pretrain": "rnn-t1-soft",
        "rnn-t2-pretrain": "rnn-t2-soft",
    }
    study["tables"]["table1"]["runs"].remove("rnn-t1-soft")
    assert load_study(study).first_phase("rnn-t1-pretrain") is None
    study["runs"]["rnn-t2-soft"]["training"] = {"epochs": 3}
    assert load_study(study).first_phase("rnn-t2-pretrain") is None


PAPER2 = ("paper2_layers", "paper2_weak", "paper2_dnn")


@pytest.mark.parametrize(
    "overlays",
    [("aurora4",), *(("mini_aurora", name) for name in (*PAPER2, "paper4"))],
    ids="+".join,
)
def test_rows_stand_beside_those_of_the_paper(overlays):
    loaded = load_study(merged(*overlays))
    for table in loaded.tables.values():
        labels = [table.labels.get(run, loaded.runs[run].label) for run in table.runs]
        rows = PAPERS[table.paper]["rows"] if table.paper else labels
        assert set(labels) <= set(rows)
        assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("paper", ["paper3", "paper4"])
def test_networks_of_a_paper_are_the_same_on_every_corpus(paper):
    here, there = (load_study(merged(name, paper)) for name in ("mini_aurora", "reference"))
    named = {run for table in here.tables.values() for run in table.runs} & set(here.runs)
    assert named
    assert {run: here.run_options(run) for run in named} == {
        run: there.run_options(run) for run in named
    }


def test_overlays_share_what_they_have_in_common():
    alone = load_study(merged("mini_aurora"))
    together = load_study(merged("mini_aurora", *PAPER2))
    for name in PAPER2:
        one = load_study(merged("mini_aurora", name))
        assert one.name == "mini_aurora" and set(one.tables) > set(alone.tables)
        for run in one.runs:
            assert one.run_options(run) == together.run_options(run)
    for run in alone.runs:
        assert alone.run_options(run) == together.run_options(run)


def test_a_label_is_of_a_run_of_its_table():
    config = study(tables__table1__labels={"rnn-00": "x"})
    (line,) = mistakes(config)
    assert line.startswith("tables.table1.labels.rnn-00: no run of this table 'rnn-00'; did you")


def test_null_leaves_an_entry_out():
    config = copy.deepcopy(DEFAULT)
    config["runs"]["rnn-t1-reg"] = None
    config["tables"]["table1"]["runs"].remove("rnn-t1-reg")
    assert "rnn-t1-reg" not in load_study(config).runs


def test_nothing_heavy_is_imported():
    import subprocess
    import sys

    code = (
        "import sys, darkknowledge.study, darkknowledge.fingerprint; "
        "print([m for m in ('torch', 'numpy', 'pandas', 'kaldifst') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_pairs_count_where_both_runs_are_rows():
    config = copy.deepcopy(DEFAULT)
    table = config["tables"]["table1"]
    assert len(load_study(config).tables["table1"].compared) == len(table["pairs"])
    table["runs"] = ["mono", "dnn", "rnn-0", "rnn-t2-soft"]
    table["pairs"].append(["mono", "dnn"])
    config["runs"]["rnn-t1-soft"] = None
    compared = load_study(config).tables["table1"].compared
    assert compared == [("rnn-0", "rnn-t2-soft"), ("dnn", "rnn-t2-soft"), ("mono", "dnn")]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([["dnn", "rnn-t2-sofd"]], "pairs.0.1: no run or GMM stage 'rnn-t2-sofd'; did you mean"),
        ([["dnn", "tri3b"]], "pairs.0.1: no run or GMM stage 'tri3b'; did you mean 'tri2b'"),
        ([["dnn", "rnn-0"], ["rnn-0", "dnn"]], "pairs.1: ['rnn-0', 'dnn']; each pair of two runs"),
        ([["dnn", "dnn"]], "pairs.0: ['dnn', 'dnn']; each pair of two runs may stand once"),
        ([["dnn"]], "pairs.0.1: missing"),
        ("dnn", "pairs: 'dnn'; "),
    ],
)
def test_a_wrong_pair_is_named(pairs, expected):
    found = mistakes(study(tables__table1__pairs=pairs))
    assert any(f"tables.table1.{expected}" in line for line in found), found


LANDSCAPE = {"runs": ["rnn-0", "rnn-t1-soft"], "objectives": ["rnn-0", "rnn-t1-soft"]}


def test_a_landscape_names_its_objectives_and_what_it_needs():
    objectives = ["rnn-0", "rnn-t1-soft", "rnn-t2-soft", "rnn-t1-reg"]
    one = {"runs": ["rnn-t1-reg"], "objectives": objectives, "path": ["rnn-0"]}
    tables = {"t": {"runs": ["rnn-t1-reg", "rnn-0"]}}
    loaded = load_study({**DEFAULT, "tables": tables, "landscapes": {"l": one}})
    assert list(loaded.objective_labels("l").values()) == [
        "hard",
        "soft, T = 1",
        "soft, T = 2",
        "mixture, T = 1",
    ]
    assert loaded.needed_runs == ["rnn-t1-reg", "rnn-0", "dnn"]
    assert loaded.caches == [("dnn", "T1"), ("dnn", "T2")]
    assert loaded.kept_runs == ["rnn-0"]
    options = loaded.landscapes["l"]
    assert options.views == ["surface-rnn-t1-reg", "path"]
    assert options.pictures == ["surfaces", "path", "curvature"]
    unseen = {"l": {**one, "report": False, "batches": 0}}
    loaded = load_study({**DEFAULT, "tables": tables, "landscapes": unseen})
    assert loaded.caches == [("dnn", "T1")] and not loaded.reported_landscapes
    assert loaded.landscapes["l"].pictures == ["surfaces", "path"]
    fewer = {"t": {"runs": ["rnn-0"]}}
    loaded = load_study({**DEFAULT, "tables": fewer, "landscapes": {"l": one}})
    assert loaded.needed_runs == ["rnn-0"] and not loaded.reported_landscapes
    twins = {"l": {**LANDSCAPE, "objectives": ["rnn-0", "dnn", "rnn-t1-soft"]}}
    labels = load_study({**DEFAULT, "landscapes": twins}).objective_labels("l")
    assert list(labels.values()) == ["hard (rnn-0)", "hard (dnn)", "soft, T = 1"]


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"runs": ["rnn-1"]}, "landscapes.l.runs: no run 'rnn-1'; did you mean"),
        ({"objectives": ["rnn-t1-pretrain"]}, "'rnn-t1-pretrain' has targets 'pretrain'; name"),
        ({"line": ["dnn", "rnn-0"]}, "landscapes.l.line: ['dnn', 'rnn-0'] have not all the same"),
        ({"path": ["rnn-0", "rnn-0"]}, "landscapes.l.path: ['rnn-0', 'rnn-0']; each run may"),
        ({"points": 10}, "take 11"),
        ({"point": 10}, "landscapes.l.point: unknown key; did you mean 'points'"),
    ],
)
def test_a_wrong_landscape_is_named(changes, expected):
    with pytest.raises(StudyError) as error:
        load_study({**DEFAULT, "landscapes": {"l": {**LANDSCAPE, **changes}}})
    assert expected in str(error.value)


def test_a_landscape_has_no_name_of_a_table():
    with pytest.raises(StudyError, match="landscapes.table1: the name of a table"):
        load_study({**DEFAULT, "landscapes": {"table1": LANDSCAPE}})
