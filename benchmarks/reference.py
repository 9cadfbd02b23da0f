"""The reference study beside Kaldi on the same data: word error rates, times, memory.

    python benchmarks/reference.py [DATA_ROOT] [snakemake options]

Runs `snakemake --configfile studies/reference.yaml` where something is lacking, then prints the
two side by side; of a network the mean over seeds, and the times of the first. Kaldi's numbers are
those of `reference/RESULTS.md` below the data root.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "reference"
# Word error rate, seconds of training (with the alignment before it) on two cores, and of
# decoding 0.54 h with two jobs.
KALDI = {
    "mono": (58.9, 124, None),
    "tri1": (45.1, 52, 304),
    "tri2b": (41.5, 60, 255),
    "tri3b": (31.1, 98, None),
    "dnn": (35.4, 1469, 548),
}
KALDI_FEATURES = 8.5


def measured(name: str) -> dict:
    """Return what Snakemake noted of a job: seconds, megabytes and so on."""
    path = RESULTS / "benchmarks" / f"{name}.jsonl"
    return json.loads(path.read_text().splitlines()[-1])


def cell(value, digits: int = 1) -> str:
    """Format a number, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def main(root: str, options: list[str]) -> None:
    """Run what lacks and print the table."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "studies/reference.yaml"]
    command += ["--config", f"data_root={root}", *(options or ["--cores", "2"])]
    subprocess.run(command, cwd=ROOT, check=True)

    extraction = sum(measured(f"extract_features/{name}")["s"] for name in ("train", "dev", "test"))
    jobs = [f"extract_features/{name}" for name in ("train", "dev", "test")]
    print(f"{'':8}{'WER %':>16}{'training s':>18}{'decoding s':>18}{'largest GB':>12}")
    print(f"{'':8}{'Kaldi':>8}{'here':>8}{'Kaldi':>10}{'here':>8}{'Kaldi':>10}{'here':>8}")
    print(f"{'features':8}{'':16}{KALDI_FEATURES:>10.1f}{extraction:>8.1f}")
    total = {"Kaldi": KALDI_FEATURES, "here": extraction}
    for name, (wer, training, decoding) in KALDI.items():
        system = name if (RESULTS / "decode" / name / "score.json").is_file() else f"{name}/seed1"
        pattern = f"{name}/score.json" if system == name else f"{name}/seed*/score.json"
        scores = [json.loads(path.read_text()) for path in (RESULTS / "decode").glob(pattern)]
        if not scores:
            continue
        train = f"train_{name}" if system == name else f"train_network/{name}.seed1"
        own = [train, f"tune_decoding/{system}", f"decode/{system}"]
        jobs += own
        here = statistics.fmean(score["total"]["wer"] for score in scores)
        seconds = measured(train)["s"]
        memory = max(measured(job)["max_rss"] for job in own) / 1024
        print(
            f"{name:8}{wer:>8.1f}{here:>8.2f}{cell(training, 0):>10}{seconds:>8.0f}"
            f"{cell(decoding, 0):>10}{measured(f'decode/{system}')['s']:>8.0f}{memory:>12.2f}"
        )
        if name in ("mono", "tri1", "tri2b"):
            total["Kaldi"] += training
            total["here"] += seconds
    print(
        f"features to tri2b: {total['here']:.0f} s against {total['Kaldi']:.0f} s, "
        f"ratio {total['here'] / total['Kaldi']:.2f}"
    )
    jobs += [f"make_graph/{stage}" for stage in ("mono", "tri1", "tri2b")]
    largest = max(jobs, key=lambda job: measured(job)["max_rss"])
    print(f"largest job: {largest}, {measured(largest)['max_rss'] / 1024:.2f} GB")
    for stage in ("mono", "tri1", "tri2b"):
        print(f"graph of {stage}: {measured(f'make_graph/{stage}')['s']:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "data", sys.argv[2:])
