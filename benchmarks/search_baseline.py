"""A search of the hard-target LSTM: learning rate, delay and size, by what dev says.

    python benchmarks/search_baseline.py studies/mini_aurora.yaml [more.yaml]
        [--best 4] [--rates ...] [--delays ...] [--units ...] [-- snakemake options]

Each setting is a run of the study that the files make, trained with its first seed by Snakemake:
what is there is not trained again, and an interrupted search goes on. Settings are ranked by
frame accuracy on the cross-validation set; the best few are tuned on dev for their word error
rate. The test set is not touched. The overlay with all runs and the ranking, as CSV, stand in
`results/<study>/search_baseline.*`.
"""

import argparse
import csv
import itertools
import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from darkknowledge.overlays import lay, read_studies  # noqa: E402
from darkknowledge.study import load_study  # noqa: E402

BASELINE = "lstm"
RATES = (0.0005, 0.001, 0.002, 0.004)
DELAYS = (3, 5, 8)
UNITS = (128, 256, 512)


def settings(rates, delays, units) -> dict[str, dict]:
    """Name every combination of learning rate, delay and cells."""
    return {
        f"search-{cells}-delay{delay}-rate{round(1e6 * rate)}": {
            "units": cells,
            "delay": delay,
            "learning_rate": rate,
        }
        for cells, delay, rate in itertools.product(units, delays, rates)
    }


def search_overlay(config: dict, grid: dict[str, dict]) -> dict:
    """Make the runs of a search; the projection has half as many units as there are cells."""
    networks = {
        name: lay(
            config["networks"][BASELINE],
            {
                "units": setting["units"],
                "projection": setting["units"] // 2,
                "delay": setting["delay"],
                "training": {"learning_rate": setting["learning_rate"]},
            },
        )
        for name, setting in grid.items()
    }
    return {
        "networks": networks,
        "runs": {name: {"network": name, "targets": "hard"} for name in grid},
    }


def rank(rows: list[dict]) -> list[dict]:
    """Sort by frame accuracy on the cross-validation set, best first."""
    return sorted(rows, key=lambda row: -row["cv_fa"])


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write the ranking as CSV and print it."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{'cells':>6}{'delay':>6}{'rate':>9}{'TR FA':>8}{'CV FA':>8}{'epochs':>8}{'dev WER':>9}")
    for row in rows:
        wer = f"{row['dev_wer']:.2f}" if row["dev_wer"] != "" else "-"
        print(
            f"{row['units']:>6}{row['delay']:>6}{row['learning_rate']:>9g}{row['tr_fa']:>8.1f}"
            f"{row['cv_fa']:>8.1f}{row['epochs']:>8}{wer:>9}"
        )


def main(arguments: argparse.Namespace, options: list[str]) -> None:
    """Run what lacks, rank, and write."""
    config = read_studies([ROOT / "config.yaml", *arguments.studies])
    grid = settings(arguments.rates, arguments.delays, arguments.units)
    overlay = search_overlay(config, grid)
    study = load_study(lay(config, overlay))
    results = Path("results") / study.name
    seed = f"seed{study.seeds[0]}"
    path = ROOT / results / "search_baseline.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(overlay))

    def make(targets: list[str]) -> None:
        command = [sys.executable, "-m", "snakemake", *targets, *options]
        command += ["--configfile", *map(str, arguments.studies), str(path)]
        subprocess.run(command, cwd=ROOT, check=True)

    make([f"{results}/networks/{run}/{seed}/summary.json" for run in grid])
    if {"-n", "--dry-run", "--dryrun"} & set(options):
        return
    rows = []
    for run, setting in grid.items():
        summary = json.loads(
            (ROOT / results / "networks" / run / seed / "summary.json").read_text()
        )
        measured = {key: summary[key] for key in ("tr_fa", "cv_fa", "epochs", "parameters")}
        rows.append({"run": run, **setting, **measured, "dev_wer": ""})
    rows = rank(rows)
    best = rows[: arguments.best]
    make([f"{results}/decode/{row['run']}/{seed}/tuning.json" for row in best])
    for row in best:
        tuning = ROOT / results / "decode" / row["run"] / seed / "tuning.json"
        row["dev_wer"] = json.loads(tuning.read_text())["dev_wer"]
    write_rows(path.with_suffix(".csv"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", type=lambda name: Path(name).resolve())
    parser.add_argument("--best", type=int, default=4)
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    parser.add_argument("--delays", nargs="+", type=int, default=DELAYS)
    parser.add_argument("--units", nargs="+", type=int, default=UNITS)
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    main(parser.parse_args(given[:end]), given[end + 1 :] or ["--cores", "2"])
