"""The only helpers: names of files, code fingerprints and options of runs.

`R` is the folder of the study's results. Options reach a script by `params`, in plain types,
without those that equal their default, so that a new option changes no run that exists.
"""

from darkknowledge.fingerprint import fingerprint
from darkknowledge.locks import remove_stale_locks
from darkknowledge.study import GMM_STAGES, plain

ROOT = Path(workflow.basedir)
R = f"results/{study.name}"
LOGS = f"{R}/logs"
BENCHMARKS = f"{R}/benchmarks"
SETS = ("train", "dev", "test")
TEMPERATURES = sorted({f"{run.temperature:g}" for run in study.runs.values()})
SYSTEMS = [[run, seed] for run in study.table_runs for seed in study.seeds]
RUN_SEEDS = [f"{run}/seed{seed}" for run, seed in SYSTEMS]
TABLE_FORMATS = ("csv", "md", "tex", "html", "txt")
FIGURE_FORMATS = ("svg", "pdf", "png")
FIGURE_TITLES = {
    "conditions": "Word error rate by condition",
    "learning_curves": "Learning curves",
    "toy_data": "A toy: two Gaussian mixtures in the plane",
    "toy_surfaces": "The toy's loss surface under hard and soft targets",
}
FIGURES = {name: f"{R}/figures/{name}.svg" for name in FIGURE_TITLES}
LATTICES = [f"{R}/decode/{system}/lattice_score.json" for system in [*GMM_STAGES, *RUN_SEEDS]]
TABLES = {name: f"{R}/tables/{name}.txt" for name in [*study.tables, "gmm"]}

if workflow.is_main_process:
    ALIVE = remove_stale_locks(Path(".snakemake"))


wildcard_constraints:
    set="|".join(SETS),
    stage="|".join(GMM_STAGES),
    run="|".join(study.runs),
    seed="|".join(map(str, study.seeds)),
    temperature="|".join(TEMPERATURES),
    table="|".join([*study.tables, "gmm"]),
    system="|".join([*GMM_STAGES, *(f"{run}/seed[0-9]+" for run in study.runs)]),


def code(script):
    """Hash what a script computes; in `params` it reruns the rule when the code changes."""
    return fingerprint(ROOT / "scripts" / f"{script}.py", ROOT)


def options(section):
    """Return a section of the study in plain types."""
    return plain(getattr(study, section))


def hmm_options(part):
    """Return the GMM options of one stage, or of the final alignment, and no others."""
    others = {*GMM_STAGES, "alignment"} - {part}
    return {key: value for key, value in options("hmm").items() if key not in others}


def search_options():
    """Return the decoding options without those of lattices, which change no hypothesis."""
    lattices = {"lattice_beam", "nbest"}
    return {key: value for key, value in options("decoding").items() if key not in lattices}


def soft_targets(wildcards):
    """Name the soft-target cache that a run learns from, if it has a teacher."""
    run = study.runs[wildcards.run]
    if run.teacher is None:
        return []
    return f"{R}/soft_targets/{run.teacher}/seed{wildcards.seed}/T{run.temperature:g}.soft"


def acoustic_model(wildcards):
    """Name the model of a system: a GMM stage, or a run with its seed."""
    if wildcards.system in GMM_STAGES:
        return f"{R}/hmm/{wildcards.system}/model.npz"
    return f"{R}/networks/{wildcards.system}/model.pt"


def system_features(set_name, prefix=""):
    """Return a function that names the features of a system for one set."""

    def names(wildcards):
        kind = "mfcc" if wildcards.system in GMM_STAGES else "fbank"
        return {
            f"{prefix}features": f"{R}/features/{set_name}/{kind}.scp",
            f"{prefix}cmvn": f"{R}/features/{set_name}/cmvn_{kind}.scp",
            f"{prefix}data": f"{R}/data/{set_name}/wav.scp",
        }

    return names


def system_graph(wildcards):
    """Name the decoding graph of a system: networks share that of their alignments."""
    stage = wildcards.system if wildcards.system in GMM_STAGES else GMM_STAGES[-1]
    return {
        "graph": f"{R}/graph/{stage}/HCLG.fst",
        "words": f"{R}/graph/{stage}/words.txt",
        "boundaries": f"{R}/graph/{stage}/boundaries.npy",
    }


def system_gpu(wildcards):
    """Ask for a GPU where a network is evaluated."""
    return 0 if wildcards.system in GMM_STAGES else 1


def table_spec(name):
    """Say what a table is made from; `gmm` is that of the Gaussian mixtures."""
    if name == "gmm":
        return {
            "title": "Gaussian mixtures, the aligners",
            "paper": "kaldi/aurora4",
            "rows": [{"run": stage, "label": stage} for stage in GMM_STAGES],
            "systems": [[stage, None] for stage in GMM_STAGES],
            "scores": [f"{R}/decode/{stage}/score.json" for stage in GMM_STAGES],
        }
    table = study.tables[name]
    systems = [[run, seed] for run in table.runs for seed in study.seeds]
    return {
        "title": table.title or name,
        "paper": table.paper,
        "rows": [table_row(run) for run in table.runs],
        "systems": systems,
        "scores": [f"{R}/decode/{run}/seed{seed}/score.json" for run, seed in systems],
        "summaries": [f"{R}/networks/{run}/seed{seed}/summary.json" for run, seed in systems],
    }


def table_files(name):
    """List the files that a table is made from."""
    spec = table_spec(name)
    return [*spec["scores"], *spec.get("summaries", [])]


def table_row(run):
    """Describe a run to the tables and figures."""
    spec = study.runs[run]
    return {"run": run, "label": spec.label or run, "targets": spec.targets}


RUN_ROWS = [table_row(run) for run in study.table_runs]


def lattice_scores(wildcards):
    """Name the scores of all lattices, which a study without a lattice beam has not."""
    if study.decoding.lattice_beam is None:
        raise WorkflowError(
            "decoding.lattice_beam is null: this study has no lattices; set it to 6, for example"
        )
    return LATTICES
