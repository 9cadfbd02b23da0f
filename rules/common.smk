"""The only helpers: names of files, code fingerprints and options of runs.

`R` is the folder of the study's results. Options reach a script by `params`, in plain types,
without those that equal their default, so that a new option changes no run that exists.
"""

import os
import shlex
import sys

from darkknowledge.fingerprint import fingerprint
from darkknowledge.landscapes.options import CurvatureOptions, GridOptions
from darkknowledge.locks import remove_stale_locks
from darkknowledge.hmm.options import STAGES
from darkknowledge.networks.options import SEQUENCE
from darkknowledge.papers import PAPERS
from darkknowledge.provenance import COMMAND
from darkknowledge.resources import Needs
from darkknowledge.study import NAME, plain


def either(names):
    """Return a pattern of names; of none, one that nothing fits."""
    return "|".join(names) or "(?!)"


ROOT = Path(workflow.basedir)
R = f"results/{study.name}"
LOGS = f"{R}/logs"
BENCHMARKS = f"{R}/benchmarks"
GMM_STAGES = study.hmm.stages
needs = Needs(study, R)
SETS = ("train", "dev", "test")
CACHE_KINDS = study.cache_kinds
ADAPTED = [run for run in study.runs if study.runs[run].adapt]
TRAINED = [run for run in study.runs if not study.runs[run].adapt]
RUN_SEEDS = [
    f"{run}/seed{seed}" for run in study.shown_runs if run in TRAINED for seed in study.seeds
]
# of any run but those of which each speaker has a network; short, as it stands in many patterns
ADAPTED_SYSTEMS = [f"{run}/seed[0-9]+" for run in ADAPTED]
SYSTEMS = [*GMM_STAGES, f"(?!{either(ADAPTED_SYSTEMS)}){NAME.pattern}/seed[0-9]+"]
TABLE_FORMATS = ("csv", "md", "tex", "html", "txt")
FIGURE_FORMATS = ("svg", "pdf", "png")
PLACES = {run: place for place, run in enumerate(study.shown_runs)}
COMPARISONS = [name for name in study.tables if study.network_runs(name)]
TABLE_FIGURES = {
    "conditions": "Word error rate by condition",
    "learning_curves": "Learning curves",
}
TOY_FIGURES = {
    "toy_data": "A toy: two Gaussian mixtures in the plane",
    "toy_surfaces": "The toy's loss surface under hard and soft targets",
}
FIGURES = {
    f"{R}/figures/{table}/{name}.svg": ": ".join(
        [title, study.tables[table].title or table][: len(COMPARISONS)]
    )
    for table in COMPARISONS
    for name, title in TABLE_FIGURES.items()
}
FIGURES |= {f"{R}/figures/{name}/sweep.svg": s.title or name for name, s in study.sweeps.items()}
FIGURES |= {f"{R}/figures/alignments.svg": "Alignments over spectrograms"}
FIGURES |= {f"{R}/figures/{name}.svg": title for name, title in TOY_FIGURES.items()}
CAPTIONS = sorted(map(os.path.relpath, (ROOT / "report").glob("*.rst")))
LANDSCAPE_FIGURES = {
    "surfaces": "Loss surfaces",
    "line": "Loss between two networks",
    "path": "Training paths",
    "curvature": "Curvature",
}
FIGURES |= {
    f"{R}/figures/{name}/{picture}.svg": f"{LANDSCAPE_FIGURES[picture]}: {options.title or name}"
    for name, options in study.reported_landscapes.items()
    for picture in options.pictures
}
EXPORTED = f"{R}/export/{{run}}/seed{{seed}}"
SEARCHED = ["HCLG.fst", "words.txt", "boundaries.npy", "SHA256SUMS"]
EXPORTED_FILES = [
    f"{EXPORTED}/{name}" for name in ("network.onnx", "network.int8.onnx", "cmvn.npy", *SEARCHED)
]
ADAPTER_FILES = [
    f"{EXPORTED}/{name}"
    for name in (
        "adaptation.npz",
        "cmvn_mfcc.npy",
        *(f"adaptation/{name}" for name in SEARCHED if study.hmm.aligner != "tri3b"),
    )
]
LATTICES = [f"{R}/decode/{system}/lattice_score.json" for system in [*GMM_STAGES, *RUN_SEEDS]]
TABLES = {name: f"{R}/tables/{name}.txt" for name in [*study.tables, "gmm"]}

if workflow.is_main_process:
    os.environ[COMMAND] = shlex.join(["snakemake", *sys.argv[1:]])
    ALIVE = remove_stale_locks(Path(".snakemake"))


def figure(stem, group):
    """Name the files of a figure below `figures`, the first of them for Snakemake's report."""
    kinds = [f"{R}/figures/{stem}.{kind}" for kind in FIGURE_FORMATS]
    caption = f"../report/{Path(stem).name}.rst"
    labels = {"of": group, "figure": Path(stem).name.replace("_", " ")}
    return [report(kinds[0], caption=caption, category="Figures", labels=labels), *kinds[1:]]


wildcard_constraints:
    set="|".join(SETS),
    stage="|".join(GMM_STAGES),
    run=NAME.pattern,
    seed="|".join(map(str, study.seeds)),
    cache="|".join(map(re.escape, CACHE_KINDS)),
    table="|".join([*study.tables, "gmm"]),
    sweep=either(study.sweeps),
    system=either(SYSTEMS),
    landscape=either(study.landscapes),
    view=either(sorted({view for one in study.landscapes.values() for view in one.views})),
    part="[0-9]+",


def code(script):
    """Hash what a script computes; in `params` it reruns the rule when the code changes.

    A job on a cluster needs it, too: there Snakemake looks at the jobs of the same rule before.
    """
    return fingerprint(ROOT / "scripts" / f"{script}.py", ROOT)


def options(section):
    """Return a section of the study in plain types."""
    return plain(getattr(study, section))


def hmm_options(part):
    """Return the GMM options of one stage, or of the final alignment, and no others."""
    others = {*STAGES, "alignment", "stages", "aligner"} - {part}
    if part == "alignment" and study.hmm.aligner == "tri3b":
        others -= {"tri3b"}
    return {key: value for key, value in options("hmm").items() if key not in others}


def stage_before(wildcards):
    """Name the model and alignments that a stage starts from."""
    before = STAGES[STAGES.index(wildcards.stage) - 1]
    return {
        "model": f"{R}/hmm/{before}/model.npz",
        "alignments": f"{R}/hmm/{before}/alignments.scp",
    }


def there(path):
    """Leave out a file of the corpus that is absent: it can be planned without, not run."""
    return path if Path(path).exists() else []


def given_features(wildcards):
    """Name the feature archives that the corpus gives for a set, by kind."""
    given = study.given_features(wildcards.set)
    return {f"given_{kind}": there(scp) for kind, scp in given.items()}


def search_options():
    """Return the decoding options without those of lattices and jobs; they change no hypothesis."""
    others = {"lattice_beam", "nbest"}
    return {key: value for key, value in options("decoding").items() if key not in others}


def caches_of(run, seed):
    """Name the soft-target caches that a run learns from, one per teacher."""
    cache = f"seed{seed}/{study.cache_name(run)}.soft"
    return [f"{R}/soft_targets/{teacher}/{cache}" for teacher in study.runs[run].teachers]


def teacher_models(wildcards):
    """Name the models of the teachers of a run, in the order of their caches."""
    teachers = study.runs[wildcards.run].teachers
    return [f"{R}/networks/{teacher}/seed{wildcards.seed}/model.pt" for teacher in teachers]


def training_files(wildcards):
    """Name what the training of a run reads beside alignments.

    Features; the caches and models of its teachers; model and metrics of the run that `pretrain`
    goes on from; the model from whose weights it starts, and the lattices of a sequence training.
    """
    named = network_features(wildcards)
    run, seed = study.runs[wildcards.run], f"seed{wildcards.seed}"
    named["soft_targets"] = caches_of(wildcards.run, wildcards.seed)
    named["teachers"] = teacher_models(wildcards)
    before = study.first_phase(wildcards.run)
    files = ("model.pt", "metrics.jsonl") if before else ()
    named["first_phase"] = [f"{R}/networks/{before}/{seed}/{file}" for file in files]
    if run.start:
        named["start"] = f"{R}/networks/{run.start}/{seed}/model.pt"
    if run.targets in SEQUENCE:
        named["lattices"] = f"{R}/sequence/{run.start}/{seed}/lattices.npz"
    return named


def adaptation_inputs(wildcards):
    """Name what a run is adapted from: its start and its teachers, and what they read."""
    run, seed = study.runs[wildcards.run], f"seed{wildcards.seed}"
    test = f"{R}/features/test"
    kind, kinds = study.input_kind(run.start), [study.input_kind(name) for name in run.teachers]
    return {
        "model": f"{R}/networks/{run.start}/{seed}/model.pt",
        "tuning": f"{R}/decode/{run.start}/{seed}/tuning.json",
        "features": f"{test}/{kind}.scp",
        "cmvn": f"{test}/cmvn_{kind}.scp",
        "teachers": teacher_models(wildcards),
        "teacher_features": [f"{test}/{kind}.scp" for kind in kinds],
        "teacher_cmvn": [f"{test}/cmvn_{kind}.scp" for kind in kinds],
    }


def acoustic_model(wildcards):
    """Name the model of a system: a GMM stage, or a run with its seed."""
    if wildcards.system in GMM_STAGES:
        return f"{R}/hmm/{wildcards.system}/model.npz"
    return f"{R}/networks/{wildcards.system}/model.pt"


def system_features(set_name=None, prefix=""):
    """Return a function that names the features of a system, of the wildcards' set if not given."""

    def names(wildcards):
        folder = f"{R}/features/{set_name or wildcards.set}"
        system = wildcards.system
        kind = "mfcc" if system in GMM_STAGES else study.input_kind(system.split("/")[0])
        return {
            f"{prefix}features": f"{folder}/{kind}.scp",
            f"{prefix}cmvn": f"{folder}/cmvn_{kind}.scp",
            f"{prefix}data": f"{R}/data/{set_name or wildcards.set}/wav.scp",
        }

    return names


def network_features(wildcards):
    """Name what the network of a run reads of the training and the dev set."""
    kind = study.input_kind(wildcards.run)
    return {
        f"{name}_{what}": path
        for name in ("train", "dev")
        for what, path in {
            "features": f"{R}/features/{name}/{kind}.scp",
            "cmvn": f"{R}/features/{name}/cmvn_{kind}.scp",
            "utt2spk": f"{R}/data/{name}/utt2spk",
        }.items()
    }


def what_is_said(wildcards):
    """Name what tells the states of a set to speaker adaptation: alignments, or a recogniser."""
    if wildcards.set == "train":
        return {"alignments": f"{R}/hmm/tri3b/alignments.scp"}
    return {**graph_of("tri3b"), "tuning": f"{R}/decode/tri3b/tuning.json"}


def features_and_adapter(wildcards):
    """Name what an export reads of features and, of a run that reads fmllr, of their maker."""
    kind = study.input_kind(wildcards.run)
    if wildcards.run in ADAPTED:
        raise StudyError(
            f"{wildcards.run}: each speaker of the test set has a network of its own; export the run "
            f"that they start from, {study.runs[wildcards.run].start}"
        )
    named = {
        "train_cmvn": f"{R}/features/train/cmvn_{kind}.scp",
        "features": f"{R}/features/dev/{kind}.scp",
        "cmvn": f"{R}/features/dev/cmvn_{kind}.scp",
    }
    if kind == "fmllr":
        named |= {f"adapter_{name}": path for name, path in graph_of("tri3b").items()}
        named |= {
            "adapter": f"{R}/hmm/tri3b/model.npz",
            "adapter_tuning": f"{R}/decode/tri3b/tuning.json",
            "mfcc_cmvn": f"{R}/features/train/cmvn_mfcc.scp",
        }
    return named


def exported_and_test_features(wildcards):
    """Name an exported run and what its network reads of the test set."""
    kind = study.input_kind(wildcards.run)
    return {
        "description": f"{EXPORTED}/recogniser.json",
        "files": [*EXPORTED_FILES, *(ADAPTER_FILES if kind == "fmllr" else [])],
        "features": f"{R}/features/test/{kind}.scp",
        "cmvn": f"{R}/features/test/cmvn_{kind}.scp",
    }


def system_graph(wildcards):
    """Name the decoding graph of a system: networks share that of their alignments."""
    return graph_of(wildcards.system if wildcards.system in GMM_STAGES else study.hmm.aligner)


def graph_of(stage):
    """Name a stage's decoding graph and the checksums of all its files, which stand for them."""
    folder = f"{R}/graph/{stage}"
    return {"graph": f"{folder}/HCLG.fst", "checksums": f"{folder}/SHA256SUMS"}


def system_adaptation(wildcards):
    """Return how a speaker-adapted system estimates transforms while it decodes."""
    return hmm_options("tri3b").get("tri3b", {}) if wildcards.system == "tri3b" else {}


def gmm_paper():
    """Name the printed table that stands beside the Gaussian mixtures."""
    cited = [table.paper for table in study.tables.values() if table.paper]
    own = [paper for paper in cited if set(GMM_STAGES) & set(PAPERS[paper]["rows"])]
    return own[0] if own else "kaldi/aurora4"


def systems_of(runs):
    """List the systems of runs and GMM stages, [run, seed] each, and where they are decoded."""
    systems = [
        [run, seed] for run in runs for seed in ([None] if run in GMM_STAGES else study.seeds)
    ]
    return systems, [run if seed is None else f"{run}/seed{seed}" for run, seed in systems]


def table_spec(name):
    """Say what a table is made from; `gmm` is that of the Gaussian mixtures."""
    if name == "gmm":
        return {
            "title": "Gaussian mixtures, the aligners",
            "paper": gmm_paper(),
            "rows": [table_row(stage) for stage in GMM_STAGES],
            **result_files(GMM_STAGES),
        }
    table = study.tables[name]
    more = {"significance": f"{R}/significance/{name}.json"} if table.compared else {}
    if table.columns:
        more["columns"] = table.columns
    return {
        **more,
        "title": table.title or name,
        "paper": table.paper,
        "rows": [table_row(run, table.labels) for run in table.runs],
        **result_files(table.runs, table.shows_speed),
    }


def result_files(runs, speed=False):
    """Name the systems of runs, and the scores, summaries and, if wanted, speeds of each."""
    systems, paths = systems_of(runs)
    named = list(zip((run for run, _ in systems), paths, strict=True))
    speeds = [None if run in ADAPTED else f"{R}/decode/{path}/speed.json" for run, path in named]
    return {
        **({"speeds": speeds} if speed else {}),
        "systems": systems,
        "scores": [f"{R}/decode/{path}/score.json" for path in paths],
        "summaries": [
            f"{R}/networks/{path}/summary.json" if run in TRAINED else None for run, path in named
        ],
    }


def sweep_spec(name):
    """Say what the figure of a sweep is made from."""
    sweep = study.sweeps[name]
    return {
        "x": sweep.x,
        "lines": sweep.lines,
        "baseline": sweep.baseline,
        "values": {run: getattr(study.runs[run], sweep.x) for run in sweep.runs},
        "frame_shift": study.features.frame_shift,
        "rows": [table_row(run) | {"place": PLACES[run]} for run in sweep.runs],
        **result_files(sweep.runs),
    }


def spec_files(spec):
    """List the files that a table or sweep is made from."""
    tested = [spec["significance"]] if "significance" in spec else []
    some = filter(None, [*spec["summaries"], *spec.get("speeds", [])])
    return [*spec["scores"], *some, *tested]


def pairs_spec(name):
    """Say what the pairs of a table are, and which systems they compare."""
    pairs = study.tables[name].compared if name in study.tables else []
    systems, paths = systems_of(dict.fromkeys(run for pair in pairs for run in pair))
    return {"pairs": [list(pair) for pair in pairs], "systems": systems, "paths": paths}


def pairs_files(file):
    """Return a function that names one file of each system that a table's pairs compare."""
    return lambda wildcards: [
        f"{R}/decode/{path}/{file}" for path in pairs_spec(wildcards.table)["paths"]
    ]


def table_row(run, labels=None):
    """Describe a run, or a GMM stage, to the tables and figures."""
    spec = None if run in GMM_STAGES else study.runs[run]
    label = (labels or {}).get(run) or (spec and spec.label) or run
    more = {"targets": spec.targets} if spec else {}
    if spec and spec.adapt:
        more["adapted"] = True
    return {"run": run, "label": label, **more}


def figure_runs(table, adapted=False):
    """Describe the runs of a table to a figure: its systems, and its rows with their places.

    Those that are adapted to the test speakers have hypotheses, but no training to show.
    """
    runs = study.network_runs(table)
    if adapted:
        runs = [run for run in study.tables[table].runs if run in study.runs]
    labels = study.tables[table].labels
    return {
        "systems": systems_of(runs)[0],
        "rows": [table_row(run, labels) | {"place": PLACES[run]} for run in runs],
    }


def figure_files(name, adapted=False):
    """Return a function that names a file of each system of the wildcards' table."""

    def files(wildcards):
        systems = figure_runs(wildcards.table, adapted)["systems"]
        return [name.format(run, seed) for run, seed in systems]

    return files


def shown_systems():
    """Say for each system of a table which files and logs are behind its numbers."""
    rows = {row["run"]: row["label"] for name in TABLES for row in table_spec(name)["rows"]}
    labels = list(rows.values())
    found = []
    for (run, seed), path in zip(*systems_of(rows), strict=True):
        gathered = study.jobs.decoding > 1 or run in ADAPTED
        jobs = {"decoded": f"{'gather_hypotheses' if gathered else 'decode'}/{path}.log"}
        if run in GMM_STAGES:
            jobs = {"trained": f"train_{run}.log"} | jobs
        elif run in TRAINED:
            jobs = {"trained": f"train_network/{run}.seed{seed}.log"} | jobs
        folder = f"{R}/decode/{path}"
        found.append(
            {
                "model": rows[run] if labels.count(rows[run]) == 1 else f"{rows[run]}, {run}",
                "seed": seed,
                "jobs": jobs,
                "hypotheses": f"{folder}/hypotheses.trn",
                "score": f"{folder}/score.json",
            }
        )
    return found


def landscape_objectives(wildcards):
    """Say what the objectives of a landscape are: label, target options, and the caches."""
    labels = study.objective_labels(wildcards.landscape)
    return [
        {
            "label": label,
            "targets": study.run_options(run)["targets"],
            "caches": caches_of(run, wildcards.seed),
        }
        for run, label in labels.items()
    ]


def landscape_runs(wildcards):
    """List the runs whose networks are evaluated: one, the ends of a line, or those of paths."""
    view = getattr(wildcards, "view", None)
    if view in ("line", "path"):
        return list(getattr(study.landscapes[wildcards.landscape], view))
    return [view.removeprefix("surface-") if view else wildcards.run]


def landscape_inputs(wildcards):
    """Name what a network's loss is computed from."""
    options, runs = study.landscapes[wildcards.landscape], landscape_runs(wildcards)
    kind, specs = study.input_kind(runs[0]), landscape_objectives(wildcards)
    folders = [f"{R}/networks/{run}/seed{wildcards.seed}" for run in runs]
    path = getattr(wildcards, "view", None) == "path"
    return {
        "models": [f"{folder}/model.pt" for folder in folders],
        "epochs": [f"{folder}/epochs.pt" for folder in folders] if path else [],
        "features": f"{R}/features/{options.set}/{kind}.scp",
        "cmvn": f"{R}/features/{options.set}/cmvn_{kind}.scp",
        "utt2spk": f"{R}/data/{options.set}/utt2spk",
        "alignments": f"{R}/alignments/{options.set}/pdf.scp",
        "soft_targets": list(dict.fromkeys(path for spec in specs for path in spec["caches"])),
    }


def landscape_options(kind):
    """Return a function that gives the options of a kind, and the share of speakers."""

    def options(wildcards):
        landscape = study.landscapes[wildcards.landscape]
        share = study.runs[landscape_runs(wildcards)[0]].speakers
        more = {"speakers": share} if share != 1 and landscape.set == "train" else {}
        return {"options": landscape.chosen(kind), **more}

    return options


def landscape_grids(picture):
    """Return a function that names the grids of a picture: lines of all seeds, else of the first."""

    def names(wildcards):
        options = study.landscapes[wildcards.landscape]
        surfaces = [f"surface-{run}" for run in options.runs]
        seeds = study.seeds if picture == "line" else study.seeds[:1]
        folder = f"{R}/landscapes/{wildcards.landscape}"
        views = surfaces if picture == "surfaces" else [picture]
        return [f"{folder}/{view}/seed{seed}.npz" for view in views for seed in seeds]

    return names


def landscape_labels(wildcards):
    """Map the runs of a landscape to their names in figures."""
    runs = study.landscapes[wildcards.landscape].needed_runs
    return {run: table_row(run)["label"] for run in runs}


def lattice_scores(wildcards):
    """Name the scores of all lattices, which a study without a lattice beam has not."""
    if study.decoding.lattice_beam is None:
        raise WorkflowError(
            "decoding.lattice_beam is null: this study has no lattices; set it to 6, for example"
        )
    return LATTICES
