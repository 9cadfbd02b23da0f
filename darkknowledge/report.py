"""The report: one HTML page that holds a study's tables, figures, errors, costs and provenance."""

import base64
import html
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.files import read_lines, write_text
from darkknowledge.mistakes import MISTAKES_CSS, Mistaken, mistakes_html
from darkknowledge.progress import clock
from darkknowledge.tables import TABLE_CSS, TABLE_SCRIPT, html_table

NUMBER = re.compile(r"[-+−\d.,:]*( to [-−\d.]+)?|–|not (known|recorded)")
MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}

CSS = """
:root { color-scheme: light; --ink: #1d2939; --soft: #667085; --line: #e4e7ec; --link: #0b5cad; }
* { box-sizing: border-box; }
html { scroll-padding-top: 3.2rem; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main, header > div, nav > div { max-width: 84rem; margin: 0 auto; padding: 0 1.25rem; }
header { background: #f9fafb; padding: 1.8rem 0 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .6rem; padding-top: .5rem; letter-spacing: -.01em; }
h3 { font-size: 1.02rem; margin: 1.9rem 0 .5rem; }
nav { position: sticky; top: 0; z-index: 3; background: #f9fafb; font-size: .93rem;
  border-bottom: 1px solid var(--line); }
nav > div { display: flex; flex-wrap: wrap; gap: .1rem 1.4rem; padding: .5rem 1.25rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
.lead { color: var(--soft); margin: 0; max-width: 62rem; }
.facts { display: flex; flex-wrap: wrap; gap: .7rem 2.6rem; margin: 1.1rem 0 0; }
.facts dt { font-size: .8rem; }
.facts dd { font-size: 1.25rem; font-weight: 600; line-height: 1.3; }
.facts small { font-size: .8rem; font-weight: 400; color: var(--soft); }
.wide { overflow-x: auto; -webkit-overflow-scrolling: touch; }
figure { margin: .6rem 0 2.2rem; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption, .caption { color: #475467; font-size: .93rem; max-width: 62rem; margin: .5rem 0 1rem; }
.results { font-size: .86rem; }
dl.definitions { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem;
  margin: 0 0 1.4rem; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
pre, code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { background: #f9fafb; border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto; }
code { overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--link); margin: .4rem 0; }
footer { margin: 3rem 0 2rem; }
@media (min-width: 1150px) {
  figure { display: flex; gap: 2rem; align-items: flex-start; }
  figure .wide { flex: 0 1 auto; max-width: 58rem; }
  figcaption { flex: 1 1 14rem; min-width: 14rem; max-width: 34rem; margin-top: 1.6rem; }
  .worst { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 2.5rem; }
  .outline { columns: 3; column-rule: 1px solid var(--line); white-space: pre-wrap; }
}
@media (max-width: 640px) {
  body { font-size: 15px; }
  nav { position: static; }
  figure img.large { max-width: none; width: max(100%, 36rem); }
  dl.definitions { grid-template-columns: 1fr; gap: 0; }
  .definitions dd { margin-bottom: .6rem; }
}
@media print { header { background: none; } nav { display: none; } }
"""


def corpus_numbers(sets: Mapping[str, DataDirectory], lexicon: Collection[str]) -> pd.DataFrame:
    """Count what each set holds.

    Parameters
    ----------
    sets : mapping
        Data directory by name of the set.
    lexicon : collection of str
        Words that have a pronunciation.

    Returns
    -------
    DataFrame
        ``set``, ``utterances``, ``hours``, ``speakers``, ``conditions``, ``words`` (spoken),
        ``vocabulary`` (different words), ``OOV %`` of the words spoken, ``noisy %`` of the
        utterances and ``SNR dB``, lowest and highest; the last two are None where no ratio is
        known. One row for each set.
    """
    rows = []
    for name, data in sets.items():
        spoken = [word for words in data.text.values() for word in words]
        ratios = data.snr.values()
        rows.append(
            {
                "set": name,
                "utterances": len(data.wav),
                "hours": round(sum(data.duration.values()) / 3600, 2),
                "speakers": len(set(data.speaker.values())),
                "conditions": len(set(data.condition.values())),
                "words": len(spoken),
                "vocabulary": len(set(spoken)),
                "OOV %": round(100 * sum(word not in lexicon for word in spoken) / len(spoken), 2),
                "noisy %": round(100 * len(ratios) / len(data.wav), 1) if ratios else None,
                "SNR dB": f"{min(ratios):.1f} to {max(ratios):.1f}" if ratios else None,
            }
        )
    return pd.DataFrame(rows).astype({"noisy %": object})


def read_captions(paths: Iterable[str | Path]) -> dict[str, str]:
    """Read what to look for in figures and tables: a text file for each, by its stem.

    They are captions of Snakemake's own report, too, so they are reStructuredText without markup.
    """
    return {Path(path).stem: " ".join(" ".join(read_lines(path)).split()) for path in paths}


def write_report(
    path: str | Path,
    study: Mapping[str, Any],
    tables: Sequence[tuple[str, pd.DataFrame]],
    figures: Sequence[tuple[str, str | Path]],
    corpus: pd.DataFrame,
    provenance: Mapping[str, Any],
    captions: Mapping[str, str],
    conditions: Sequence[pd.DataFrame] = (),
    mistakes: Sequence[tuple[str, Sequence[Mistaken]]] = (),
    costs: pd.DataFrame | None = None,
    devices: Mapping[str, int] | None = None,
    origins: tuple[pd.DataFrame, Sequence[Mapping[str, Any]]] | None = None,
    again: str = "",
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
        Of the page itself, from `darkknowledge.provenance.provenance`.
    captions : mapping
        What to look for, from `read_captions`: by the stem of a figure's file, by section.
    conditions : sequence of DataFrame
        For each table, from `darkknowledge.tables.condition_rates`.
    mistakes : sequence of (label, list of Mistaken)
        Of each run, from `darkknowledge.mistakes.worst_utterances`.
    costs : DataFrame, optional
        From `darkknowledge.costs.read_costs`.
    devices : mapping, optional
        Trainings by the device that they ran on.
    origins : (DataFrame, list of mapping), optional
        From `darkknowledge.origins.origins`.
    again : str
        Command that makes one of the numbers again.

    Raises
    ------
    DataError
        If a figure is absent, of another kind, or has no caption.
    """
    name = str(study.get("name", "study"))
    title = f"Knowledge transfer between acoustic models: {name}"
    sections = {
        "Tables": _tables(tables, conditions, captions),
        "Figures": _figures(figures, tables, captions),
    }
    if mistakes:
        told = captions["worst_utterances"]
        sections["Worst utterances"] = [_caption(told), *_mistakes(mistakes, tables)]
    sections["Corpus"] = [_caption(captions["corpus"]), _plain_table(_shown_corpus(corpus))]
    if costs is not None:
        sections["Cost"] = _costs(costs, devices or {}, captions["cost"])
    sections["Configuration"] = [
        "<details open>\n<summary>All that differs from the defaults</summary>",
        f'<pre class="outline">{html.escape(outline(study))}</pre>\n</details>',
    ]
    told = [_caption(captions["provenance"])]
    sections["Provenance"] = told + _provenance(provenance, origins, again)
    anchors = {heading: heading.lower().replace(" ", "-") for heading in sections}
    menu = "\n".join(f'<a href="#{anchor}">{heading}</a>' for heading, anchor in anchors.items())
    body = "\n".join(
        "\n".join([f'<h2 id="{anchors[heading]}">{heading}</h2>', *parts])
        for heading, parts in sections.items()
    )
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<style>{TABLE_CSS}{MISTAKES_CSS}{CSS}</style>
</head>
<body>
<header><div>
<h1>{html.escape(title)}</h1>
<p class="lead">{html.escape(_lead(study, corpus))}</p>
{_facts(tables, costs)}
</div></header>
<nav><div>
{menu}
</div></nav>
<main>
{body}
<footer></footer>
</main>
<script>{TABLE_SCRIPT}</script>
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


def _facts(tables: Sequence[tuple[str, pd.DataFrame]], costs: pd.DataFrame | None) -> str:
    """Say in a few words what came out: the best network and its teacher, and what it took."""
    facts = []
    for _, table in tables:
        known = table[table["wer"].notna() & (table["targets"] != "")]
        if known.empty:
            continue
        best, first = known.loc[known["wer"].idxmin()], known.iloc[0]
        facts.append(("lowest word error rate", f"{best['wer']:.2f} %", best["model"]))
        if first["run"] != best["run"]:
            facts.append(("first row", f"{first['wer']:.2f} %", first["model"]))
        break
    if costs is not None and len(costs):
        jobs = f"{costs['jobs'].sum()} jobs"
        facts.append(("time of all jobs, h:mm:ss", clock(costs["seconds"].sum()), jobs))
    cells = "\n".join(
        f"<div><dt>{what}</dt><dd>{value} <small>{html.escape(of)}</small></dd></div>"
        for what, value, of in facts
    )
    return f'<dl class="facts">\n{cells}\n</dl>' if facts else ""


def _caption(text: str) -> str:
    return f'<p class="caption">{html.escape(text)}</p>'


def _tables(
    tables: Sequence[tuple[str, pd.DataFrame]],
    conditions: Sequence[pd.DataFrame],
    captions: Mapping[str, str],
) -> list[str]:
    parts = [_caption(captions["table"])]
    for number, (heading, table) in enumerate(tables):
        parts += [f"<h3>{html.escape(heading)}</h3>", html_table(table)]
        rates = conditions[number] if number < len(conditions) else pd.DataFrame()
        if len(rates.columns) > 2:
            shown = rates.rename(columns={"model": "Model"})
            for column in shown.columns[1:]:
                shown[column] = [_decimals(value, 2) for value in shown[column]]
            parts += [
                "<details>\n<summary>Word error rate by condition</summary>",
                _caption("Per cent, mean over seeds."),
                f"{_plain_table(shown)}\n</details>",
            ]
    return parts


def _figures(
    figures: Sequence[tuple[str, str | Path]],
    tables: Sequence[tuple[str, pd.DataFrame]],
    captions: Mapping[str, str],
) -> list[str]:
    grouped = any(table[f"wer_{group}"].notna().any() for _, table in tables for group in "ABCD")
    parts = []
    for heading, file in figures:
        file = Path(file)
        other = f"{file.stem}_ungrouped"
        name = other if not grouped and other in captions else file.stem
        image = f'src="{_data_url(file)}" alt="{html.escape(heading)}"'
        image += ' class="large"' if _is_large(file) else ""
        if name not in captions:
            raise DataError(f"{file}: no caption; write report/{file.stem}.rst: what to look for")
        caption = html.escape(captions[name])
        parts.append(
            f"<h3>{html.escape(heading)}</h3>\n<figure>\n"
            f'<div class="wide"><img {image}></div>\n'
            f"<figcaption>{caption}</figcaption>\n</figure>"
        )
    return parts


def _mistakes(
    mistakes: Sequence[tuple[str, Sequence[Mistaken]]],
    tables: Sequence[tuple[str, pd.DataFrame]],
) -> list[str]:
    """Format the worst utterances of each run; those of the best one are open."""
    rates = {row["model"]: row["wer"] for _, table in tables for _, row in table.iterrows()}
    known = [label for label, _ in mistakes if not math.isnan(rates.get(label, math.nan))]
    best = min(known, key=rates.get, default=None)
    parts = []
    for label, worst in mistakes:
        inner = mistakes_html(worst) if worst else _caption("No errors, or no result.")
        opened = " open" if label == best else ""
        summary = f"<summary>{html.escape(label)}</summary>"
        parts.append(f"<details{opened}>\n{summary}\n{inner}\n</details>")
    return parts


def _shown_corpus(corpus: pd.DataFrame) -> pd.DataFrame:
    shown = corpus.rename(columns=lambda name: name[:1].upper() + name[1:])
    return shown.astype(object).where(shown.notna(), "not known")


def _costs(costs: pd.DataFrame, devices: Mapping[str, int], caption: str) -> list[str]:
    total = costs["seconds"].sum()
    shown = pd.DataFrame(
        {
            "Rule": costs["rule"],
            "Jobs": costs["jobs"],
            "Time": [clock(value) for value in costs["seconds"]],
            "Share %": [_decimals(100 * value / total, 1) for value in costs["seconds"]],
            "Longest job": [clock(value) for value in costs["longest"]],
            "CPU %": [
                _decimals(100 * cpu / seconds, 0)
                for cpu, seconds in zip(costs["cpu_seconds"], costs["seconds"], strict=True)
            ],
            "of threads %": [_decimals(100 * value, 0) for value in costs["cpu_share"]],
            "Memory MB": [_decimals(value / 1e6, 0) for value in costs["memory"]],
            "of asked %": [_decimals(100 * value, 0) for value in costs["memory_share"]],
            "of time asked %": [_decimals(100 * value, 0) for value in costs["time_share"]],
            "GPU time asked": [
                "not recorded" if math.isnan(value) else clock(value) if value else "–"
                for value in costs["gpu_seconds"]
            ],
        }
    )
    text = f"{costs['jobs'].sum()} jobs, {clock(total)} (h:mm:ss) together. {caption}"
    if devices:
        ran = ", ".join(f"{count} on {name}" for name, count in devices.items())
        text += f" Networks were trained: {ran}."
    return [_caption(text), _plain_table(shown)]


def _provenance(
    page: Mapping[str, Any],
    origins: tuple[pd.DataFrame, Sequence[Mapping[str, Any]]] | None,
    again: str,
) -> list[str]:
    parts = []
    if again:
        parts.append(f'<p class="caption">For example: <code>{html.escape(again)}</code></p>')
    if origins:
        table, surroundings = origins
        parts.append(_plain_table(table))
        for number, values in enumerate(surroundings, 1):
            parts += [f"<h3>Where {number}</h3>", _definitions(values)]
    return [*parts, "<h3>This page</h3>", _definitions(page)]


def _decimals(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _plain_table(table: pd.DataFrame) -> str:
    """Format a table; its first column and those that hold text stand to the left."""
    texts = [
        i == 0 or not all(NUMBER.fullmatch(str(value)) for value in table[name])
        for i, name in enumerate(table.columns)
    ]
    kinds = [" class=text" if text else "" for text in texts]
    heads = "".join(
        f"<th{kind}>{html.escape(str(name))}</th>"
        for kind, name in zip(kinds, table.columns, strict=True)
    )
    rows = []
    for values in table.itertuples(index=False):
        cells = [f"{v:,}" if isinstance(v, int) else str(v) for v in values]
        row = zip(kinds, cells, strict=True)
        rows.append(
            f"<tr>{''.join(f'<td{kind}>{html.escape(cell)}</td>' for kind, cell in row)}</tr>"
        )
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table class="results"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _definitions(values: Mapping[str, Any]) -> str:
    lines = ['<dl class="definitions">']
    for key, value in values.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{name} {inner}" for name, inner in value.items())
        lines.append(f"<dt>{html.escape(str(key))}</dt><dd>{html.escape(str(value))}</dd>")
    return "\n".join([*lines, "</dl>"])


def _is_large(file: Path) -> bool:
    """Tell whether a figure is too wide for a telephone: then it is scrolled."""
    width = re.search(rb'<svg[^>]* width="([\d.]+)pt"', file.read_bytes()[:2000])
    return width is None or float(width[1]) > 450


def _data_url(file: Path) -> str:
    if file.suffix not in MEDIA:
        raise DataError(f"{file}: a figure of the report; expected {' or '.join(MEDIA)}")
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: no such figure; run snakemake to make it") from None
    return f"data:{MEDIA[file.suffix]};base64,{base64.b64encode(data).decode()}"
