"""Speed of features, E-step, alignment and decoding on one core, on a study that is finished.

    python benchmarks/front_half.py results/reference

Prints frames per second and the real-time factor of each, and what fraction of this machine's
own speed of matrix products the E-step reaches.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from darkknowledge.acoustic import acoustic_scores
from darkknowledge.adaptation import SEARCH
from darkknowledge.archives import Archive
from darkknowledge.datadir import DataDirectory, read_data_directory
from darkknowledge.decoding import Decoder
from darkknowledge.feature_options import FeatureOptions
from darkknowledge.features import extract
from darkknowledge.files import read_json
from darkknowledge.hmm.model import HmmModel
from darkknowledge.hmm.options import AlignmentOptions
from darkknowledge.hmm.phones import read_lexicon
from darkknowledge.hmm.shard import ShardWorker, make_shards

FRAMES = 60000
DECODED = 20
REPEATS = 3


def part(data: DataDirectory, frames: int) -> DataDirectory:
    """Return the first utterances of a set, about so many frames."""
    chosen, total = [], 0.0
    for utterance in data.wav:
        if total * 100 >= frames:
            break
        chosen.append(utterance)
        total += data.duration[utterance]
    names = ("wav", "text", "speaker", "condition", "duration")
    return DataDirectory(*({u: getattr(data, name)[u] for u in chosen} for name in names))


def timed(function, *arguments):
    """Return the shortest of some times, in seconds, and the result."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = function(*arguments)
        best = min(best, time.perf_counter() - start)
    return best, result


def matrix_speed() -> float:
    """Floating-point operations per second of a large product, float32, one thread."""
    one, other = torch.randn(2, 2048, 2048).unbind()
    seconds, _ = timed(torch.mm, one, other)
    return 2 * 2048**3 / seconds


def e_step_operations(worker: ShardWorker) -> float:
    """Operations of the two matrix products of each pdf: scores and sums."""
    mixtures = worker.model.mixtures
    transitions = np.concatenate(list(worker.get_alignments().values()))
    gaussians = mixtures.counts[worker.model.transition_pdf[transitions]]
    return float(gaussians.sum()) * 2 * 2 * 2 * mixtures.dimension


def main(results: Path) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"{'stage':<28}{'frames/s':>12}{'x real time':>13}")

    def tell(stage: str, frames: float, seconds: float, note: str = "") -> None:
        print(f"{stage:<28}{frames / seconds:>12,.0f}{frames / seconds / 100:>13,.1f}  {note}")

    data = part(read_data_directory(results / "data" / "train"), FRAMES)
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else results / "benchmarks" / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    seconds, _ = timed(extract, data, folder, FeatureOptions(), 1)
    features = Archive(folder / "mfcc.scp")
    frames = sum(len(features[u]) for u in data.wav)
    tell("features (MFCC and fbank)", frames, seconds)

    speed = matrix_speed()
    lexicon = read_lexicon(results / "lang" / "lexicon.txt")
    for stage in ("mono", "tri1", "tri2b"):
        model = HmmModel.read(results / "hmm" / stage / "model.npz")
        (shard,) = make_shards(
            data,
            str(folder / "mfcc.scp"),
            str(folder / "cmvn_mfcc.scp"),
            {u: data.duration[u] for u in data.wav},
            10 * FRAMES,
            10 * FRAMES,
        )[:1]
        worker = ShardWorker(shard, lexicon, model.phones, AlignmentOptions())
        worker.set_model(model)
        worker.align()
        seconds, report = timed(worker.align)
        frames = sum(map(len, worker.get_alignments().values()))
        tell(f"{stage}: alignment", frames, seconds, f"{len(report['failed'])} failed")
        worker.accumulate()
        seconds, _ = timed(worker.accumulate)
        fraction = e_step_operations(worker) / seconds / speed
        tell(
            f"{stage}: E-step",
            frames,
            seconds,
            f"{model.mixtures.num_gaussians} Gaussians, {fraction:.0%} of the speed of products, "
            f"{speed / 1e9:.0f} Gflop/s",
        )

    test = read_data_directory(results / "data" / "test")
    chosen = {u: test.speaker[u] for u in list(test.wav)[:DECODED]}
    for stage in ("mono", "tri1", "tri2b"):
        tuning = read_json(results / "decode" / stage / "tuning.json")
        decoder = Decoder(results / "graph" / stage, **{key: tuning[key] for key in SEARCH})
        index = [results / "features" / "test" / name for name in ("mfcc.scp", "cmvn_mfcc.scp")]
        start = time.perf_counter()
        model = results / "hmm" / stage / "model.npz"
        scores = list(acoustic_scores(model, *index, chosen))
        seconds = time.perf_counter() - start
        frames = sum(len(matrix) for _, matrix in scores)
        tell(f"{stage}: likelihoods", frames, seconds)
        start = time.perf_counter()
        for utterance, matrix in scores:
            decoder.decode(matrix, utterance)
        seconds = time.perf_counter() - start
        note = f"real-time factor {seconds / frames * 100:.3f}, beam {tuning['beam']:g}"
        tell(f"{stage}: search", frames, seconds, note)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
