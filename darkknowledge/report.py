"""The report: one HTML page that holds a study's tables, figures, corpus and provenance."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.files import write_text
from darkknowledge.tables import TABLE_CSS, html_table

MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}

# what to look for, by the name of the figure's file
CAPTIONS = {
    "toy_data": "The toy of the paper's first version: two classes in the plane, each a mixture "
    "of two Gaussians (contours), and the points drawn from them. Look at the overlap: there the "
    "true posterior (colour) is far from the 0 or 1 that a hard label claims.",
    "toy_surfaces": "The cross-entropy of logistic regression on these points, over its two "
    "weights, under hard and soft targets; stars mark the minima. Look for what differs and what "
    "does not: soft targets tilt the surface and move its minimum, but at any one weight the "
    "curvature is the same, because the loss is linear in the targets. A higher temperature puts "
    "the minimum where the surface is rounder (condition nearer 1), and more curved. What soft "
    "targets do lessen is the scatter of the gradient between points (lower right). Over 200 "
    "draws of the points the largest curvature at the minimum is 0.19 in the median for hard "
    "labels and for soft ones at T = 1, 0.36 at T = 2; the variance of the gradient there is "
    "0.22, 0.02 and 0.02.",
    "learning_curves": "Cross-validation loss and frame accuracy by epoch, both against the hard "
    "alignment whatever is learnt, so that all panels of a row have one scale. A pretrained run "
    "goes on in the column of hard targets where it ends in that of soft ones, and there lies over "
    "the run on soft targets alone. Look at how far it falls there, and at which runs stop early "
    "or turn upward: those overfit. The marker is the epoch that is kept; the first epoch may lie "
    "outside.",
    "conditions": "Word error rate in each test condition; A clean, B noisy, C clean with the "
    "second microphone, D both. Look at whether the order of the runs holds in every group: a "
    "gain that comes from one condition is a gain on that noise.",
    "surfaces": "The loss around trained networks (rows) under several objectives (columns), all "
    "on one scale: nats per frame above the lowest point of a panel, contours at 0.03, 0.1, 0.3, 1 "
    "and 3. The two random directions are common to all panels and normalised filter by filter, so "
    "that 0.5 moves each unit's weights by half their norm. The number is the loss at the trained "
    "weights (+) above the entropy of the targets. Look at how wide the contours are, and at how "
    "far the lowest point of an objective lies from a network that was trained on another.",
    "line": "The same losses on the straight line between two networks that started from the same "
    "weights; dots mark the lowest points, thin lines are other seeds. A rise between the ends is "
    "a barrier: the two lie in different valleys of that objective.",
    "path": "The weights after each epoch (dots, the star is the last) on the plane through the "
    "end of the first path that lies nearest to all of them, and the losses over that plane. A "
    "path that is not of the first run may end above or below the plane.",
    "curvature": "The largest eigenvalue and the trace of the Hessian, the scatter of the gradient "
    "between utterances and of its logit part between frames (the paper's argument for soft "
    "targets), and the largest rise of the loss in a small ball, at the trained weights of each "
    "run under each objective. Losses are per frame and unit of target mass. Bars are 95 % "
    "intervals over seeds, or with one seed over minibatches. Compare the objectives at the same "
    "weights, then each at the weights of its own run.",
    "sweep": "Word error rate of the whole test set, and frame accuracy on the cross-validation "
    "set, against one option of the runs; level lines are runs without it. Bars and bands are the "
    "standard deviation over seeds; with one seed there are none, and small differences mean "
    "nothing.",
}
UNGROUPED = {
    "conditions": "Word error rate in each test condition. Look at whether the order of the runs "
    "holds in all of them."
}

CSS = """
:root { color-scheme: light; --ink: #1d2939; --soft: #667085; --line: #e4e7ec; --link: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main, header > div { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { background: #f9fafb; border-bottom: 1px solid var(--line); padding: 2rem 0 1.1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .4rem; }
h3 { font-size: 1.02rem; margin: 1.8rem 0 .4rem; }
nav { margin-top: .9rem; font-size: .93rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
.lead { color: var(--soft); margin: 0; max-width: 62rem; }
.wide { overflow-x: auto; -webkit-overflow-scrolling: touch; }
figure { margin: 1.2rem 0 2rem; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { color: #475467; font-size: .93rem; max-width: 62rem; margin-top: .5rem; }
.results { font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
pre { background: #f9fafb; border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto; font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; color: var(--link); }
footer { margin: 3rem 0 2rem; }
@media (max-width: 640px) {
  body { font-size: 15px; }
  figure img { max-width: none; width: max(100%, 36rem); }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; }
}
@media print { header { background: none; } nav { display: none; } }
"""


def corpus_numbers(sets: Mapping[str, DataDirectory]) -> pd.DataFrame:
    """Count what each set holds.

    Parameters
    ----------
    sets : mapping
        Data directory by name of the set.

    Returns
    -------
    DataFrame
        ``set``, ``utterances``, ``hours``, ``speakers``, ``conditions``, ``words`` (spoken) and
        ``vocabulary`` (different words), one row for each set.
    """
    return pd.DataFrame(
        [
            {
                "set": name,
                "utterances": len(data.wav),
                "hours": round(sum(data.duration.values()) / 3600, 2),
                "speakers": len(set(data.speaker.values())),
                "conditions": len(set(data.condition.values())),
                "words": sum(len(words) for words in data.text.values()),
                "vocabulary": len({word for words in data.text.values() for word in words}),
            }
            for name, data in sets.items()
        ]
    )


def write_report(
    path: str | Path,
    study: Mapping[str, Any],
    tables: Sequence[tuple[str, pd.DataFrame]],
    figures: Sequence[tuple[str, str | Path]],
    corpus: pd.DataFrame,
    provenance: Mapping[str, Any],
    captions: Mapping[str, str] | None = None,
) -> None:
    """Write a study as one HTML page without any other file.

    Parameters
    ----------
    path : path
        Of the page.
    study : mapping
        The study's configuration in plain types; ``name`` is shown in the title.
    tables : sequence of (title, DataFrame)
        From `darkknowledge.tables.table_rows`.
    figures : sequence of (title, path)
        SVG or PNG files, which are put into the page.
    corpus : DataFrame
        From `corpus_numbers`, or any other with a column ``set``.
    provenance : mapping
        Such as ``command``, ``versions`` (a mapping), ``git``; shown as they are.
    captions : mapping, optional
        What to look for in a figure, by the stem of its file; `CAPTIONS` where absent.

    Raises
    ------
    DataError
        If a figure is absent or of another kind.
    """
    grouped = any(table[f"wer_{group}"].notna().any() for _, table in tables for group in "ABCD")
    known = CAPTIONS | ({} if grouped else UNGROUPED) | dict(captions or {})
    name = str(study.get("name", "study"))
    title = f"Knowledge transfer between acoustic models: {name}"
    parts = [_section("tables", "Tables")]
    for heading, table in tables:
        parts += [f"<h3>{html.escape(heading)}</h3>", html_table(table)]
    parts.append(_section("figures", "Figures"))
    for heading, file in figures:
        file = Path(file)
        caption = html.escape(known.get(file.stem, ""))
        parts.append(
            f"<h3>{html.escape(heading)}</h3>\n<figure>\n"
            f'<div class="wide"><img src="{_data_url(file)}" alt="{html.escape(heading)}"></div>\n'
            f"<figcaption>{caption}</figcaption>\n</figure>"
        )
    parts += [_section("corpus", "Corpus"), _plain_table(corpus)]
    parts += [
        _section("configuration", "Configuration"),
        "<details>\n<summary>The whole study</summary>",
        f"<pre>{html.escape(outline(study))}</pre>\n</details>",
        _section("provenance", "Provenance"),
        _definitions(provenance),
    ]
    links = ("tables", "figures", "corpus", "configuration", "provenance")
    menu = "\n".join(f'<a href="#{link}">{link.capitalize()}</a>' for link in links)
    body = "\n".join(parts)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<style>{TABLE_CSS}{CSS}</style>
</head>
<body>
<header><div>
<h1>{html.escape(title)}</h1>
<p class="lead">{html.escape(_lead(study, corpus))}</p>
<nav>
{menu}
</nav>
</div></header>
<main>
{body}
<footer></footer>
</main>
</body>
</html>
"""
    write_text(path, page)


def outline(value: Any, depth: int = 0) -> str:
    """Format nested plain values as indented lines, in the manner of YAML."""
    pad = "  " * depth
    lines = []
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            lines += [f"{pad}{key}:", outline(inner, depth + 1)]
        elif isinstance(inner, list | tuple):
            lines.append(f"{pad}{key}: [{', '.join(map(_scalar, inner))}]")
        else:
            lines.append(f"{pad}{key}: {_scalar(inner)}")
    return "\n".join(lines)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "{}" if value == {} else str(value)


def _lead(study: Mapping[str, Any], corpus: pd.DataFrame) -> str:
    runs = len(study.get("runs", {}))
    text = f"{runs} run{'s' if runs != 1 else ''}"
    if study.get("seeds"):
        text += f", {len(study['seeds'])} seed{'s' if len(study['seeds']) > 1 else ''}"
    if study.get("corpus"):
        text += f", corpus {study['corpus']}"
    if "hours" in corpus:
        hours = dict(zip(corpus["set"], corpus["hours"], strict=True))
        text += ": " + ", ".join(f"{hours[name]:g} h {name}" for name in hours)
    return text + "."


def _section(anchor: str, heading: str) -> str:
    return f'<h2 id="{anchor}">{heading}</h2>'


def _plain_table(table: pd.DataFrame) -> str:
    heads = "".join(
        f"<th{'' if i else ' class=text'}>{html.escape(str(name)).capitalize()}</th>"
        for i, name in enumerate(table.columns)
    )
    rows = []
    for values in table.itertuples(index=False):
        cells = [f"{v:,}" if isinstance(v, int) else str(v) for v in values]
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table class="results"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _definitions(values: Mapping[str, Any]) -> str:
    lines = ["<dl>"]
    for key, value in values.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{name} {inner}" for name, inner in value.items())
        lines.append(f"<dt>{html.escape(str(key))}</dt><dd>{html.escape(str(value))}</dd>")
    return "\n".join([*lines, "</dl>"])


def _data_url(file: Path) -> str:
    if file.suffix not in MEDIA:
        raise DataError(f"{file}: a figure of the report; expected {' or '.join(MEDIA)}")
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: no such figure; run snakemake to make it") from None
    return f"data:{MEDIA[file.suffix]};base64,{base64.b64encode(data).decode()}"
