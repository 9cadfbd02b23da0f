"""A search of the hard-target LSTM: learning rate, delay, size and patience, by what dev says.

    python benchmarks/search_baseline.py studies/mini_aurora.yaml [more.yaml]
        [--best 4] [--rates ...] [--delays ...] [--units ...] [--patiences ...]
        [-- snakemake options]

The settings are that of the study and those that differ from it on one axis; put the best one into
the study and search again for the next step. Each setting is a run of the study, trained with its
first seed by Snakemake: what is there is not trained again, an interrupted search goes on, and
earlier settings are ranked with the new ones. They are ranked by frame accuracy on the
cross-validation set; the best few are tuned on dev for their word error rate. The test set is not
touched. The overlay with all runs and the ranking, as CSV, stand in
`results/<study>/search_baseline.*`; delete them to forget earlier settings.
"""

import argparse
import csv
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
AXES = {  # option of the study's network or its training, values tried
    "learning_rate": (0.0005, 0.001, 0.002, 0.004),
    "delay": (3, 5, 8),
    "units": (128, 256, 512),
    "patience": (0, 3),
}
OF_TRAINING = ("learning_rate", "patience")


def centre(network) -> dict:
    """Return the study's own setting."""
    return {
        axis: getattr(network.training if axis in OF_TRAINING else network, axis) for axis in AXES
    }


def star(middle: dict, axes: dict) -> dict[str, dict]:
    """Name the middle and the settings that differ from it on one axis."""
    settings = [middle]
    settings += [
        {**middle, axis: value}
        for axis, values in axes.items()
        for value in values
        if value != middle[axis]
    ]
    return {
        "search-{units}-delay{delay}-rate{rate}-patience{patience}".format(
            rate=round(1e6 * setting["learning_rate"]), **setting
        ): setting
        for setting in settings
    }


def search_overlay(config: dict, grid: dict[str, dict]) -> dict:
    """Make the runs of a search; the projection has half as many units as there are cells."""
    networks = {}
    for name, setting in grid.items():
        own = {axis: value for axis, value in setting.items() if axis not in OF_TRAINING}
        own["projection"] = own["units"] // 2
        own["training"] = {axis: setting[axis] for axis in OF_TRAINING}
        networks[name] = lay(config["networks"][BASELINE], own)
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
    print(
        f"{'cells':>6}{'delay':>6}{'rate':>9}{'patience':>9}"
        f"{'TR FA':>8}{'CV FA':>8}{'epochs':>8}{'dev WER':>9}"
    )
    for row in rows:
        wer = f"{row['dev_wer']:.2f}" if row["dev_wer"] != "" else "-"
        print(
            f"{row['units']:>6}{row['delay']:>6}{row['learning_rate']:>9g}{row['patience']:>9}"
            f"{row['tr_fa']:>8.1f}{row['cv_fa']:>8.1f}{row['epochs']:>8}{wer:>9}"
        )


def main(arguments: argparse.Namespace, options: list[str]) -> None:
    """Run what lacks, rank, and write."""
    config = read_studies([ROOT / "config.yaml", *arguments.studies])
    study = load_study(config)
    results = Path("results") / study.name
    path = ROOT / results / "search_baseline.yaml"
    axes = {axis: getattr(arguments, axis) for axis in AXES}
    grid = star(centre(study.networks[BASELINE]), axes)
    if path.is_file():
        earlier = load_study(lay(config, yaml.safe_load(path.read_text())))
        runs = [run for run in earlier.runs if run.startswith("search-")]
        grid = {run: centre(earlier.networks[run]) for run in runs} | grid
    overlay = search_overlay(config, grid)
    seed = f"seed{study.seeds[0]}"
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
    for axis, option, kind in (
        ("learning_rate", "--rates", float),
        ("delay", "--delays", int),
        ("units", "--units", int),
        ("patience", "--patiences", int),
    ):
        parser.add_argument(option, dest=axis, nargs="+", type=kind, default=AXES[axis])
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    main(parser.parse_args(given[:end]), given[end + 1 :] or ["--cores", "2"])
