"""What a study would cost, from the study alone: jobs, hours of GPU or CPU, disk.

``python -m darkknowledge.estimate config.yaml studies/aurora4.yaml`` prints it; nothing is run,
and the corpus need not be there.
"""

import itertools
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from darkknowledge.errors import DataError
from darkknowledge.networks.options import SoftTargetOptions
from darkknowledge.overlays import read_studies
from darkknowledge.study import Study, StudyError, load_study

# A 256-cell LSTM of 0.33 M weights trains at 30,000 frames/s on a Zen 5 core: three multiply-adds
# per weight and frame, forward, and backward to inputs and to weights.
CPU_RATE = 30_000 * 0.33e6 * 3
GPU_RATE = 3e12
GPU_STEP = 200e-6  # seconds
FRONT_HALF = 0.05
SEARCH = 0.1
SETTINGS = 8
UTTERANCE = 8  # seconds
AUDIO_BYTES = 32_000
LABEL_BYTES = 5
SHARE_STORED = {1.0: 0.05, 2.0: 0.4}

ASSUMPTIONS = f"""\
Assumed:
- every phase of training uses its most epochs; schedules mostly end earlier;
- pdfs: the leaves that the aligner's tree aims at, before any are merged;
- CPU core: {CPU_RATE / 1e9:.0f} G multiply-adds/s (measured: 30,000 frames/s of a 256-cell LSTM);
- GPU: {GPU_RATE / 1e12:g} T multiply-adds/s in float32, and {1e6 * GPU_STEP:.0f} µs for each step
  and layer of a recurrent network, which is what few streams wait for; neither is measured;
- features, GMMs and alignments: {FRONT_HALF:g} core hours per hour of training speech; search:
  {SEARCH:g} of real time, on dev for {SETTINGS} settings; both measured on small tasks;
- soft targets: of all pdfs {SHARE_STORED[1.0]:.0%} are stored per frame at T = 1 and \
{SHARE_STORED[2.0]:.0%} at T = 2
  (measured on 536 pdfs at mass 0.99), elsewhere by log T, at most all;
- not counted: graphs, hypotheses, lattices, figures, loss landscapes."""


@dataclass(frozen=True)
class NetworkCost:
    """What one run costs with one seed.

    Attributes
    ----------
    run : str
    weights : int
    epochs : int
        Most, over all phases.
    gpu_hours, cpu_hours : float
        Of training, on a GPU or on one CPU core.
    """

    run: str
    weights: int
    epochs: int
    gpu_hours: float
    cpu_hours: float


def count_jobs(study: Study) -> dict[str, int]:
    """Count the jobs of each rule that a first run of the whole study has."""
    stages = len(study.hmm.stages)
    kept = set(study.kept_runs) & set(study.trained_runs)
    landscapes = study.reported_landscapes.values()
    compared = sum(bool(study.network_runs(table)) for table in study.tables)
    adapted = [run for run in study.shown_runs if study.runs[run].adapt]
    systems = count_systems(study)
    divided, parts = study.jobs.features > 1, study.jobs.decoding
    timed = {run for table in study.tables.values() if table.shows_speed for run in table.runs}
    searched = set(study.lattice_runs)
    tuned = searched | {study.runs[run].start for run in adapted}
    jobs = {
        "make_language": 1,
        "make_set": 3,
        "extract_features": 0 if divided else 3,
        "extract_part": 3 * study.jobs.features if divided else 0,
        "gather_features": 3 if divided else 0,
        "train_mono": 1,
        "train_triphones": stages - 1,
        "align": 2,
        "take_lm" if study.arpa else "estimate_lm": 1,
        "adapt_features": 3 if reads_adapted(study) else 0,
        "estimate_pronunciations": int(study.graph.pronunciation_probabilities),
        "make_graph": stages,
        "train_network": (len(study.trained_runs) - len(kept)) * len(study.seeds),
        "train_network_by_epoch": len(kept) * len(study.seeds),
        "write_soft_targets": len(study.caches) * len(study.seeds),
        "make_competitor_graph": int(bool(searched)),
        "make_training_lattices": len(searched) * len(study.seeds),
        "tune_decoding": systems + len(tuned - set(study.shown_runs)) * len(study.seeds),
        "decode": systems if parts == 1 else 0,
        "decode_part": systems * parts if parts > 1 else 0,
        "adapt_speakers": len(adapted) * len(study.seeds) * parts,
        "gather_hypotheses": len(adapted) * len(study.seeds) + (systems if parts > 1 else 0),
        "measure_speed": sum(_systems(study, run) for run in timed),
        "make_lattices": systems if study.decoding.lattice_beam is not None else 0,
        "test_significance": sum(bool(table.compared) for table in study.tables.values()),
        "make_table": len(study.tables) + 1,
        "compute_toy": 1,
        "plot_toy": 1,
        "plot_alignments": 1,
        "plot_learning_curves": compared,
        "plot_conditions": compared,
        "plot_sweep": len(study.sweeps),
        "compute_landscape": sum(
            len(study.seeds) if view == "line" else 1 for one in landscapes for view in one.views
        ),
        "compute_curvature": sum(
            len(one.runs) * len(study.seeds) for one in landscapes if one.batches
        ),
        **{
            f"plot_{picture}": sum(picture in one.pictures for one in landscapes)
            for picture in ("surfaces", "line", "path")
        },
        "plot_curvature": sum(bool(one.batches) for one in landscapes),
        "write_report": 1,
        "all": 1,
    }
    return {rule: count for rule, count in jobs.items() if count}


def count_systems(study: Study) -> int:
    """Count the GMM stages and the networks that recognise the test set as they are trained."""
    return sum(_systems(study, run) for run in [*study.hmm.stages, *study.shown_runs])


def _systems(study: Study, run: str) -> int:
    if run in study.runs:
        return 0 if study.runs[run].adapt else len(study.seeds)
    return 1


def reads_adapted(study: Study) -> bool:
    """Tell whether some network reads features that are adapted to the speaker."""
    return any(study.input_kind(run) == "fmllr" for run in study.needed_runs)


def count_pdfs(study: Study) -> int:
    """Return the outputs of a network, before leaves of the tree are merged."""
    return getattr(study.hmm, study.hmm.aligner).tree.leaves


def input_width(study: Study, network: BaseModel) -> int:
    """Return the dimensions of a frame that a network reads."""
    adapted = network.input == "fmllr"
    width = study.hmm.tri2b.dimension if adapted else study.features.fbank.bins
    return (1 + network.deltas) * width


def matrix_sizes(network: BaseModel, size: int, pdfs: int) -> tuple[int, int]:
    """Return the trained weights of a network's matrices, and those of its fixed input transform.

    Parameters
    ----------
    network : NetworkOptions
    size : int
        Dimensions of a frame.
    pdfs : int
    """
    if network.kind in ("dnn", "highway"):
        window = (2 * network.splice + 1) * size
        squares = network.layers - 1
        if network.kind == "highway":
            squares += 2 if network.gates == "both" else 1
        hidden = (network.lda or window) * network.units + squares * network.units**2
        return hidden + network.units * pdfs, window * network.lda if network.lda else 0
    if network.kind == "blstm":
        widths = [(2 * network.splice + 1) * size, *network.below]
        weights = sum(a * b for a, b in itertools.pairwise(widths))
        for width in [widths[-1], *[2 * network.units] * (network.layers - 1)]:
            weights += 2 * 4 * network.units * (width + network.units)
        widths = [2 * network.units, *network.above, pdfs]
        return weights + sum(a * b for a, b in itertools.pairwise(widths)), 0
    weights = 0
    for _ in range(network.layers):
        output = network.projection or network.units
        weights += 4 * network.units * (size + output)
        weights += network.units * network.projection if network.projection else 0
        size = output
    return weights + size * pdfs, 0


def hours(products: float, rate: float) -> float:
    """Return the hours that multiply-adds take at so many per second."""
    return products / rate / 3600


def network_cost(study: Study, run: str, frames: Mapping[str, float]) -> NetworkCost:
    """Estimate the training of a run with one seed.

    Parameters
    ----------
    study : Study
    run : str
    frames : mapping
        Frames of each set.
    """
    network, training = study.networks[study.runs[run].network], study.training[run]
    weights, fixed = matrix_sizes(network, input_width(study, network), count_pdfs(study))
    epochs = training.epochs
    if study.runs[run].targets == "pretrain":
        second = training.finetune_epochs or training.epochs
        epochs = second if study.first_phase(run) else epochs + second
    trained = epochs * frames["train"] * study.runs[run].speakers
    products = trained * (3 * weights + fixed) + epochs * frames["dev"] * (weights + fixed)
    steps = 0.0
    if network.kind in ("lstm", "blstm"):
        directions = 2 if network.kind == "blstm" else 1
        steps = directions * network.layers * trained / training.streams
    return NetworkCost(
        run,
        weights,
        epochs,
        hours(products, GPU_RATE) + steps * GPU_STEP / 3600,
        hours(products, CPU_RATE),
    )


def share_stored(temperature: float) -> float:
    """Return what part of the pdfs a cache stores of a frame."""
    (low, at_low), (high, at_high) = SHARE_STORED.items()
    slope = (at_high - at_low) / math.log(high / low)
    return min(1.0, max(0.01, at_low + slope * math.log(temperature / low)))


def cache_bytes(kind: tuple[float, SoftTargetOptions], pdfs: int, frames: float) -> float:
    """Estimate the size of a soft-target cache of a kind; that of logits is dense."""
    temperature, options = kind
    if math.isinf(temperature):
        return 2.0 * frames * pdfs
    entries = share_stored(temperature) * pdfs
    entries = min(entries, options.most or entries)
    return frames * (2 + entries * (3 if options.quantisation == "log8" else 4))


def disk_bytes(study: Study, frames: Mapping[str, float]) -> dict[str, float]:
    """Estimate the disk that results need, by what fills it."""
    everything, aligned = sum(frames.values()), frames["train"] + frames["dev"]
    width = study.features.mfcc.coefficients + study.features.fbank.bins
    if reads_adapted(study):
        width += study.hmm.tri2b.dimension
    seconds = everything * study.features.frame_shift / 1000
    seeds, pdfs, kinds = len(study.seeds), count_pdfs(study), study.cache_kinds
    networks = (study.networks[study.runs[run].network] for run in study.trained_runs)
    models = sum(4 * sum(matrix_sizes(n, input_width(study, n), pdfs)) for n in networks)
    caches = sum(cache_bytes(kinds[kind], pdfs, aligned) for _, kind in study.caches)
    return {
        "audio": 0.0 if study.corpus.kind == "kaldi" else seconds * AUDIO_BYTES,
        "features": everything * width * 4,
        "alignments": LABEL_BYTES * (2 * aligned + len(study.hmm.stages) * frames["train"]),
        "soft targets": caches * seeds,
        "models": float(models * seeds),
    }


def count_frames(study: Study) -> dict[str, float]:
    """Return the frames of each set.

    Raises
    ------
    StudyError
        If the study does not say how long its corpus is.
    """
    hours = study.corpus.expected_hours
    lacking = [name for name in ("train", "dev", "test") if name not in hours]
    if lacking:
        raise StudyError(
            f"corpora.{study.corpus_name}.hours: no hours of {', '.join(lacking)}; add them, such "
            "as `hours: {train: 15.1, dev: 9, test: 9.4}`"
        )
    return {name: hours[name] * 3_600_000 / study.features.frame_shift for name in hours}


def estimate(study: Study) -> str:
    """Write the estimate of a study as text."""
    frames, speech = count_frames(study), study.corpus.expected_hours
    seeds, jobs = len(study.seeds), count_jobs(study)
    costs = [network_cost(study, run, frames) for run in study.trained_runs]
    weights = {cost.run: cost.weights for cost in costs}
    scored = (frames["train"] + frames["dev"]) * sum(weights[run] for run, _ in study.caches)
    tuned = speech["dev"]
    if study.decoding.tuning_utterances is not None:
        tuned = min(tuned, study.decoding.tuning_utterances * UTTERANCE / 3600)
    systems = count_systems(study)
    search = systems * SEARCH * (speech["test"] + SETTINGS * tuned)
    networks = {
        "training, all seeds": (
            seeds * sum(cost.gpu_hours for cost in costs),
            seeds * sum(cost.cpu_hours for cost in costs),
        ),
        "soft targets": (hours(seeds * scored, GPU_RATE), hours(seeds * scored, CPU_RATE)),
    }
    others = {
        "features, GMMs, alignments": FRONT_HALF * speech["train"],
        f"search of {systems} systems": search,
    }
    gpu, cpu = (sum(pair[place] for pair in networks.values()) for place in (0, 1))
    rest = sum(others.values())
    disk = disk_bytes(study, frames)
    total = sum(disk.values()) / 1e9

    told = ", ".join(f"{speech[name]:.3g} h {name}" for name in ("train", "dev", "test"))
    lines = [
        f"Study {study.name}: {told}; {seeds} seed{'s' if seeds > 1 else ''}",
        "",
        "jobs",
        *(f"  {rule:26}{count:>12,}" for rule, count in jobs.items()),
        f"  {'total':26}{sum(jobs.values()):>12,}",
        "",
        f"{'networks, one seed':28}{'M weights':>12}{'epochs':>8}{'GPU h':>10}{'or core h':>10}",
        *(
            f"  {cost.run:26}{cost.weights / 1e6:12.2f}{cost.epochs:8}"
            f"{cost.gpu_hours:10.2f}{cost.cpu_hours:10.1f}"
            for cost in costs
        ),
        "",
        f"{'hours':28}{'GPU h':>10}{'or core h':>10}{'core h':>10}",
        *(f"  {name:26}{one:10.1f}{other:10.1f}" for name, (one, other) in networks.items()),
        *(f"  {name:26}{'':20}{value:10.1f}" for name, value in others.items()),
        f"  {'total':26}{gpu:10.1f}{cpu:10.1f}{rest:10.1f}",
        "",
        "disk, GB",
        *(f"  {name:26}{size / 1e9:12.2f}" for name, size in disk.items()),
        f"  {'total':26}{total:12.2f}",
        "",
        ASSUMPTIONS,
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        print(estimate(load_study(read_studies(sys.argv[1:]))))
    except (DataError, StudyError) as error:
        sys.exit(str(error))
