"""Tables of results: rows from summaries and scores, and their CSV, Markdown, LaTeX and HTML."""

import html
import math
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from darkknowledge.errors import DataError
from darkknowledge.files import read_json, write_text
from darkknowledge.pairs import differs_from, marks, method_notes, pair_notes, pairs_html
from darkknowledge.papers import OTHER_CORPUS, PAPERS

TARGET_NAMES = {
    "hard": "Hard",
    "soft": "Soft",
    "reg": "Soft+Hard",
    "pretrain": "Soft, Hard",
    "logits": "Logits",
    "smbr": "sMBR",
    "mmi": "MMI",
}

# column, heading, digits after the point; in the order of the paper's table
COLUMNS = (
    ("tr_fa", "TR FA %", 1),
    ("cv_fa", "CV FA %", 1),
    ("wer", "WER %", 2),
    ("wer_A", "A", 2),
    ("wer_B", "B", 2),
    ("wer_C", "C", 2),
    ("wer_D", "D", 2),
)
# what a table may show besides: heading, digits after the point, factor, explanation
EXTRA_COLUMNS = {
    "cv_loss": (
        "CV CE",
        3,
        1,
        "cross-entropy with the alignment on the cross-validation set, nats",
    ),
    "multiply_adds": ("MAC k", 0, 1e-3, "multiply-adds of the network per frame, thousands"),
    "float32_bytes": ("float32 MB", 2, 1e-6, "size of the network as it is trained"),
    "int8_bytes": ("int8 MB", 2, 1e-6, "its size with matrices in one byte per weight"),
    "network_rtf": (
        "net RTF",
        4,
        1,
        "acoustic scores alone on one core, in parts of real time, as measured",
    ),
    "rtf": ("RTF", 3, 1, "scores and search on one core, in parts of real time, as measured"),
    "cache_bytes": ("B/frame", 1, 1, "bytes per frame of the soft targets that are stored"),
    "cache_kl": ("KL", 4, 1, "divergence of the stored soft targets from the dense ones, nats"),
}
PAPER_COLUMNS = (
    ("paper_tr_fa", "TR FA %", 1),
    ("paper_cv_fa", "CV FA %", 1),
    ("paper_dev_wer", "dev WER %", 2),
    ("paper_wer", "WER %", 2),
)

TABLE_CSS = """
.results { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
.results th, .results td { padding: .35em .55em; text-align: right; }
.results th:first-child, .results td:first-child, .results .text { text-align: left; }
.results td:first-child { position: sticky; left: 0; background: #fff; }
.results thead th { font-weight: 600; vertical-align: bottom; }
.results thead tr:last-child th { border-bottom: 1.5px solid currentColor; }
.results thead tr:first-child { border-top: 1.5px solid currentColor; }
.results tbody tr:last-child td { border-bottom: 1.5px solid currentColor; }
.results tbody tr:hover { background: #8881; }
.results .span { text-align: center; border-bottom: 1px solid #8886; }
.results .paper { color: #667085; }
.results td.paper.first, .results th.paper.first { border-left: 1px solid #8885; }
.results .best { font-weight: 700; }
.results .spread { opacity: .7; font-size: .88em; font-weight: 400; }
.results sup { display: inline-block; line-height: 0; text-align: left; }
.results .gap { color: #b42318; text-align: left; white-space: normal; }
.results thead tr:last-child th { cursor: pointer; }
.results th[aria-sort]::after { content: " ▲"; font-size: .7em; }
.results th[aria-sort=descending]::after { content: " ▼"; }
.note { color: #667085; font-size: .9em; max-width: 62rem; }
"""

# A click on a head sorts by its column, another one the other way, a third as it was.
TABLE_SCRIPT = """
const value = cell => {
  const text = cell ? cell.textContent.trim().replace(/\u2212/g, "-").replace(/,/g, "") : "";
  const clock = text.match(/^(\\d+):(\\d\\d):(\\d\\d)/);
  if (clock) return 3600 * clock[1] + 60 * clock[2] + 1 * clock[3];
  const number = text.match(/[-+]?\\d+(\\.\\d+)?/);
  if (!number) return NaN;
  return number[0] * ({k: 1e3, M: 1e6}[(text.match(/\\d ([kM])$/) || [])[1]] || 1);
};
for (const table of document.querySelectorAll("table.results")) {
  const body = table.tBodies[0], rows = [...body.rows];
  for (const head of table.tHead.rows[table.tHead.rows.length - 1].cells) {
    const sort = () => {
      const next = {none: "ascending", ascending: "descending", descending: "none"};
      const way = next[head.getAttribute("aria-sort") || "none"];
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      const at = head.cellIndex, sign = way === "descending" ? -1 : 1, order = [...rows];
      if (way !== "none") {
        head.setAttribute("aria-sort", way);
        order.sort((one, other) => {
          const [a, b] = [one.cells[at], other.cells[at]];
          if (head.classList.contains("text"))
            return sign * (a ? a.textContent : "").localeCompare(b ? b.textContent : "");
          const [x, y] = [value(a), value(b)];
          return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
        });
      }
      body.append(...order);
    };
    head.tabIndex = 0;
    head.title = "sort";
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
  }
}
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1d2939; margin: 2rem; }}
.wide {{ overflow-x: auto; }}
{css}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
<script>{script}</script>
</body>
</html>
"""


def word_error_rates(score: Mapping[str, Any]) -> dict[str, float]:
    """Word error rates of all conditions together and of each group.

    Parameters
    ----------
    score : mapping
        As `darkknowledge.scoring.Score.record` gives it: ``total`` and ``groups``, with
        ``errors`` and ``words`` in each.

    Returns
    -------
    dict
        ``wer`` and, where there are several groups, ``wer_A`` to ``wer_D``; per cent.

    Raises
    ------
    DataError
        If a key is absent or a group has no words.
    """
    try:
        counts = {"wer": score["total"]}
        if len(score["groups"]) > 1:
            counts |= {f"wer_{name}": group for name, group in sorted(score["groups"].items())}
        return {name: 100 * count["errors"] / count["words"] for name, count in counts.items()}
    except (KeyError, ZeroDivisionError) as error:
        raise DataError(
            f"a score without {error if isinstance(error, KeyError) else 'words'}; "
            "delete the decoding's score.json and run snakemake"
        ) from error


def table_rows(
    runs: Sequence[Mapping[str, Any]],
    results: Iterable[Mapping[str, Any]],
    paper: str | None = None,
    columns: Sequence[str] = (),
) -> pd.DataFrame:
    """Gather the rows of a table of results.

    Parameters
    ----------
    runs : sequence of mapping
        In the order of the rows: ``run``, and if there are any ``label``, ``targets`` and
        ``temperature``; ``adapted`` where speakers have networks of their own, of which there is
        no summary. A GMM stage is a run without targets.
    results : iterable of mapping
        One for each run and seed: ``run``, ``seed``, ``summary`` (with ``tr_fa`` and ``cv_fa``
        in per cent and ``parameters``; absent for a GMM), ``score`` (as for
        `word_error_rates`), and ``speed``, what `darkknowledge.speed.measure_speed` gives, or
        None. Where ``summary`` or ``score`` is None or absent, ``problem`` may say why.
    paper : str, optional
        Key of `darkknowledge.papers.PAPERS`, whose rows are matched by label.
    columns : sequence of str
        Keys of `EXTRA_COLUMNS` that are shown besides.

    Returns
    -------
    DataFrame
        One row for each run: ``run``, ``model``, ``targets``, then for ``tr_fa``, ``cv_fa``,
        ``wer``, ``wer_A`` to ``wer_D`` and ``columns`` the mean over seeds and, in ``*_std``, the
        standard deviation (n − 1; NaN for one seed), ``parameters``, ``seeds`` (0 for a GMM
        stage, which has none), ``paper_*`` and ``problem``, empty where nothing is wrong.

    Raises
    ------
    DataError
        If the paper's table is not known or a score is damaged.
    """
    if paper is not None and paper not in PAPERS:
        raise DataError(f"no table {paper!r} of a paper; known: {', '.join(PAPERS)}")
    printed = PAPERS[paper]["rows"] if paper else {}
    by_run: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        by_run.setdefault(result["run"], []).append(result)
    rows = []
    for run in runs:
        name, label = run["run"], run.get("label") or run["run"]
        targets = run.get("targets")
        values: dict[str, list[float]] = {}
        problems: dict[str, list[str]] = {}
        for result in sorted(by_run.get(name, []), key=lambda result: str(result.get("seed"))):
            summary, score = result.get("summary"), result.get("score")
            numbers = dict(word_error_rates(score)) if score else {}
            known = {**(summary or {}), **(result.get("speed") or {})}
            for key in ("tr_fa", "cv_fa", "parameters", *columns):
                if key in known:
                    numbers[key] = known[key]
            trained = targets and not run.get("adapted")
            if score is None or (trained and summary is None):
                lacking = "not decoded" if score is None and summary else "no result"
                reason = result.get("problem") or lacking
                problems.setdefault(reason, []).append(str(result.get("seed", "")))
            for key, value in numbers.items():
                values.setdefault(key, []).append(value)
        if name not in by_run:
            problems["no result"] = [""]
        row: dict[str, Any] = {
            "run": name,
            "model": label,
            "targets": TARGET_NAMES.get(targets, targets) if targets else "",
        }
        for key in (*(key for key, _, _ in COLUMNS), *columns):
            found = values.get(key, [])
            row[key] = statistics.fmean(found) if found else math.nan
            row[f"{key}_std"] = statistics.stdev(found) if len(found) > 1 else math.nan
        row["parameters"] = values.get("parameters", [math.nan])[0]
        row["seeds"] = len(values.get("wer", [])) if targets else 0
        for key, _, _ in PAPER_COLUMNS:
            row[key] = printed.get(label, {}).get(key.removeprefix("paper_"), math.nan)
        row["problem"] = "; ".join(map(_problem, problems, problems.values()))
        rows.append(row)
    table = pd.DataFrame(rows)
    table["parameters"] = table["parameters"].astype("Int64")
    table.attrs |= {"paper": paper, "pairs": [], "columns": list(columns)}
    return table


def read_table_rows(spec: Mapping[str, Any], partial: bool = False) -> pd.DataFrame:
    """Gather the rows of a table from the files of its runs.

    Parameters
    ----------
    spec : mapping
        ``rows``, ``paper`` and ``columns`` as `table_rows` takes them; ``systems``, a list of
        [run, seed]; ``scores``, the score file of each; and, where networks are compared,
        ``summaries``, with None for a GMM stage; where speed is shown ``speeds``, with None where
        there is none. A file that holds a ``problem`` counts as absent. Where pairs are compared,
        ``significance``, the file of `darkknowledge.significance`'s records.
    partial : bool
        Whether files may be absent, which leaves gaps.

    Returns
    -------
    DataFrame
        As from `table_rows`, with the records in ``attrs["pairs"]``.
    """
    nothing = [None] * len(spec["systems"])
    summaries, speeds = (spec.get(key) or nothing for key in ("summaries", "speeds"))
    files = zip(spec["systems"], summaries, spec["scores"], speeds, strict=True)
    results = []

    def read(path: str | None) -> Any:
        return None if path is None or partial and not Path(path).exists() else read_json(path)

    for (run, seed), summary, score, speed in files:
        found = {"summary": read(summary), "score": read(score), "speed": read(speed)}
        problems = (file["problem"] for file in found.values() if file and "problem" in file)
        if problem := next(problems, None):
            found = {"problem": problem}
        results.append({"run": run, "seed": seed, **found})
    table = table_rows(spec["rows"], results, spec.get("paper"), spec.get("columns", ()))
    table.attrs["pairs"] = read(spec.get("significance")) or []
    return table


def partial_tables(specs: Mapping[str, Mapping[str, Any]]) -> str:
    """Format what there is of a study's tables, as text with gaps.

    Parameters
    ----------
    specs : mapping
        By name, as `read_table_rows` takes them, and ``title``.

    Returns
    -------
    str
        The tables that have a result at least; empty if none has.
    """
    there = (spec for spec in specs.values() if any(Path(p).exists() for p in spec["scores"]))
    tables = (terminal_table(read_table_rows(spec, True), spec["title"]) for spec in there)
    return "\n".join(tables)


def condition_rates(spec: Mapping[str, Any]) -> pd.DataFrame:
    """Gather word error rates by condition from the score files of a table's runs.

    Parameters
    ----------
    spec : mapping
        ``rows``, ``systems`` and ``scores``, as for `read_table_rows`.

    Returns
    -------
    DataFrame
        ``model``, and for each condition the mean over seeds, per cent; NaN where a run has no
        result there.
    """
    rates: dict[str, dict[str, list[float]]] = {row["run"]: {} for row in spec["rows"]}
    for (run, _), path in zip(spec["systems"], spec["scores"], strict=True):
        for name, counts in read_json(path).get("conditions", {}).items():
            rate = 100 * counts["errors"] / counts["words"]
            rates[run].setdefault(name, []).append(rate)
    names = sorted({name for found in rates.values() for name in found})
    return pd.DataFrame(
        [
            {"model": row["label"]}
            | {
                name: statistics.fmean(found)
                if (found := rates[row["run"]].get(name))
                else math.nan
                for name in names
            }
            for row in spec["rows"]
        ]
    )


def write_table(table: pd.DataFrame, stem: str | Path, title: str = "") -> None:
    """Write a table as ``.csv``, ``.md``, ``.tex`` and ``.html``.

    Parameters
    ----------
    table : DataFrame
        From `table_rows`.
    stem : path
        Of the four files, without suffix.
    title : str
        Caption.
    """
    stem = Path(stem)
    notes = _all_notes(table)
    pairs = table.attrs["pairs"]
    if pairs:
        others = [" ".join(differs_from(pairs, run)) for run in table["run"]]
        full = table.assign(differs_from=others)
    else:
        full = table
    csv = full.dropna(axis=1, how="all").to_csv(index=False, float_format="%.4f")
    write_text(f"{stem}.csv", csv)
    lines = [f"**{title}**", ""] if title else []
    lines += [markdown_table(table), "", *(f"{note}  " for note in notes)]
    write_text(f"{stem}.md", "\n".join(line.rstrip(" ") for line in lines).rstrip() + "\n")
    write_text(f"{stem}.tex", latex_table(table, title))
    body = html_table(table)
    page = PAGE.format(
        title=html.escape(title or stem.name), css=TABLE_CSS, body=body, script=TABLE_SCRIPT
    )
    write_text(f"{stem}.html", page)


def table_notes(table: pd.DataFrame) -> list[str]:
    """Say in words what the columns are, how many seeds they hold, and what is missing."""
    has_fa = table["tr_fa"].notna().any() or table["cv_fa"].notna().any()
    what = ["TR FA, CV FA: frame accuracy on the training and the cross-validation set."]
    notes = what if has_fa else []
    if any(table[f"wer_{group}"].notna().any() for group in "ABCD"):
        notes.append(
            "WER: of all test conditions together, by the words of each; A clean, B noisy, "
            "C clean with the second microphone, D noisy with the second microphone."
        )
    else:
        notes.append("WER: of the whole test set.")
    for key in table.attrs["columns"]:
        heading, _, _, meaning = EXTRA_COLUMNS[key]
        notes.append(f"{heading}: {meaning}.")
    count = table["seeds"].max()
    if count > 1:
        fewer = table[(table["seeds"] > 0) & (table["seeds"] < count)]
        rest = "".join(f"; {row['model']}: n = {row['seeds']}" for _, row in fewer.iterrows())
        notes.append(f"Mean ± standard deviation over n = {count} seeds{rest}.")
    elif count and has_fa:
        notes.append("One seed: differences of a few tenths may be chance.")
    paper = table.attrs.get("paper")
    if paper and any(table[key].notna().any() for key, _, _ in PAPER_COLUMNS):
        source = PAPERS[paper]
        name = _paper_name(table)
        notes.append(
            f"{name[0].upper()}{name[1:]} columns: {source['source']}, on {source['corpus']}. "
            f"{source.get('note', OTHER_CORPUS)}"
        )
    for _, row in table[table["problem"] != ""].iterrows():
        notes.append(f"{row['model']}: {row['problem']}.")
    return [*notes, *method_notes(table.attrs["pairs"], _labels(table))]


def _all_notes(table: pd.DataFrame) -> list[str]:
    """Return the notes with those of each pair, for formats that have no table of pairs."""
    return [*table_notes(table), *pair_notes(table.attrs["pairs"], _labels(table))]


def _labels(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["run"], table["model"], strict=True))


def markdown_table(table: pd.DataFrame) -> str:
    """Format a table as Markdown; the least WER is bold."""
    heads, cells = _cells(table, lambda text: f"**{text}**", "–")
    rows = [heads, ["---" if head in ("Model", "Targets") else "---:" for head in heads], *cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def latex_table(table: pd.DataFrame, title: str = "") -> str:
    """Format a table as LaTeX with the rules of booktabs; the least WER is bold."""
    heads, cells = _cells(
        table, lambda text: rf"\textbf{{{text}}}", "--", _latex, r"$\pm$", _latex_mark
    )
    texts = sum(head in ("Model", "Targets") for head in heads)
    top = []
    name = _paper_name(table)
    papers = sum(head.startswith(f"{name} ") for head in heads)
    if papers:
        source = PAPERS[table.attrs["paper"]]
        ours = len(heads) - texts - papers
        span = rf"\multicolumn{{{papers}}}{{c}}{{{name}, {_latex(source['corpus'])}}}"
        top = [
            rf"{'& ' * texts}\multicolumn{{{ours}}}{{c}}{{this study}} & {span} \\",
            rf"\cmidrule(lr){{{texts + 1}-{texts + ours}}}"
            rf"\cmidrule(lr){{{texts + ours + 1}-{len(heads)}}}",
        ]
    shown = [_latex(head.removeprefix(f"{name} ")) for head in heads]
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        *([rf"\caption{{{_latex(title)}}}"] if title else []),
        rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(heads) - texts)}}}",
        r"\toprule",
        *top,
        " & ".join(shown) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in cells),
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip\footnotesize",
        *(rf"{_latex(note)}\par" for note in _all_notes(table)),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def html_table(table: pd.DataFrame) -> str:
    """Format a table as an HTML fragment to be shown under `TABLE_CSS`."""
    columns, papers, best = _shown(table)
    texts = ["Model"] + (["Targets"] if (table["targets"] != "").any() else [])
    has_parameters = table["parameters"].notna().any()
    worn = _most_marks(table)
    ours = len(columns) + has_parameters
    lines = ['<div class="wide"><table class="results">', "<thead>"]
    if papers:
        source = PAPERS[table.attrs["paper"]]
        lines.append(
            f'<tr><th colspan="{len(texts)}"></th><th class="span" colspan="{ours}">this study'
            f'</th><th class="span paper first" colspan="{len(papers)}">'
            f"{_paper_name(table)}, {html.escape(source['corpus'])}</th></tr>"
        )
    heads = [f'<th class="text">{head}</th>' for head in texts]
    heads += [f"<th>{head}</th>" for _, head, _ in columns]
    heads += ["<th>Parameters</th>"] if has_parameters else []
    heads += [
        f'<th class="paper{" first" if not i else ""}">{head}</th>'
        for i, (_, head, _) in enumerate(papers)
    ]
    lines += [f"<tr>{''.join(heads)}</tr>", "</thead>", "<tbody>"]
    for index, row in table.iterrows():
        cells = [f'<td class="text">{html.escape(row["model"])}</td>']
        if len(texts) > 1:
            cells.append(f'<td class="text">{html.escape(row["targets"])}</td>')
        if all(math.isnan(row[key]) for key, _, _ in columns) and row["problem"]:
            cells.append(f'<td class="gap" colspan="{ours}">{html.escape(row["problem"])}</td>')
        else:
            for key, _, digits in columns:
                mean, spread = _mean_and_spread(row, key, digits)
                if spread:
                    spread = f' <span class="spread">± {spread}</span>'
                kind = ' class="best"' if (index, key) in best else ""
                mark = marks(table.attrs["pairs"], row["run"]) if key == "wer" else ""
                if key == "wer" and worn:
                    mark = f'<sup style="min-width: {worn}ch">{mark}</sup>'
                cells.append(f"<td{kind}>{mean or '–'}{mark}{spread}</td>")
            if has_parameters:
                cells.append(f"<td>{_millions(row['parameters']) or '–'}</td>")
        cells += [
            f'<td class="paper{" first" if not i else ""}">{_number(row[key], digits) or "–"}</td>'
            for i, (key, _, digits) in enumerate(papers)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines += ["</tbody>", "</table></div>"]
    notes = "<br>\n".join(html.escape(note) for note in table_notes(table))
    lines.append(f'<p class="note">{notes}</p>')
    if table.attrs["pairs"]:
        lines.append(pairs_html(table.attrs["pairs"], _labels(table)))
    return "\n".join(lines)


def terminal_table(table: pd.DataFrame, title: str = "") -> str:
    """Format a table as aligned text for a terminal, its notes below."""
    worn = _most_marks(table)
    heads, cells = _cells(table, str, "-", mark=lambda text: text.ljust(worn))
    name = _paper_name(table)
    papers = [head.startswith(f"{name} ") for head in heads]
    heads = [head.removeprefix(f"{name} ") for head in heads]
    widths = [max(len(row[i]) for row in [heads, *cells]) for i in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        text = ""
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            gap = " | " if papers[i] and not papers[i - 1] else "  " if i else ""
            side = "<" if heads[i] in ("Model", "Targets") else ">"
            text += f"{gap}{cell:{side}{width}}"
        return text.rstrip()

    width = sum(widths) + 2 * (len(widths) - 1) + any(papers)
    rule = "-" * width
    top = []
    if any(papers):
        corpus = f"| {name}, {PAPERS[table.attrs['paper']]['corpus']}"
        top = [" " * (line(heads).index("|")) + corpus]
    notes = [text for note in _all_notes(table) for text in textwrap.wrap(note, max(width, 60))]
    body = [*top, line(heads), rule, *map(line, cells), rule, *notes]
    return "\n".join([title, *body] if title else body) + "\n"


def _problem(reason: str, seeds: Sequence[str]) -> str:
    if not any(seeds):
        return reason
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}: {reason}"


def _most_marks(table: pd.DataFrame) -> int:
    return max(len(marks(table.attrs["pairs"], run)) for run in table["run"])


def _paper_name(table: pd.DataFrame) -> str:
    paper = table.attrs.get("paper")
    return PAPERS[paper].get("name", "paper") if paper else "paper"


def _shown(table: pd.DataFrame) -> tuple[list, list, set]:
    columns = [column for column in COLUMNS if table[column[0]].notna().any()]
    if not columns:
        columns = [column for column in COLUMNS if column[0] == "wer"]
    columns += [(key, *EXTRA_COLUMNS[key][:2]) for key in table.attrs["columns"]]
    papers = [column for column in PAPER_COLUMNS if table[column[0]].notna().any()]
    best = set()
    for key, _, digits in columns:
        if key.startswith("wer") and table[key].notna().sum() > 1:
            rounded = table[key].round(digits)
            best |= {(index, key) for index in table.index[rounded == rounded.min()]}
    return columns, papers, best


def _cells(
    table: pd.DataFrame, bold, dash: str, escape=str, spread: str = "±", mark=str
) -> tuple[list[str], list[list[str]]]:
    columns, papers, best = _shown(table)
    has_targets = (table["targets"] != "").any()
    has_parameters = table["parameters"].notna().any()
    heads = ["Model"] + (["Targets"] if has_targets else [])
    heads += [head for _, head, _ in columns]
    heads += ["Parameters"] if has_parameters else []
    heads += [f"{_paper_name(table)} {head}" for _, head, _ in papers]
    rows = []
    for index, row in table.iterrows():
        cells = [escape(row["model"])] + ([escape(row["targets"])] if has_targets else [])
        for key, _, digits in columns:
            mean, deviation = _mean_and_spread(row, key, digits)
            text = mean or dash
            if (index, key) in best:
                text = bold(text)
            if key == "wer":
                text += mark(marks(table.attrs["pairs"], row["run"]))
            if deviation:
                text += f" {spread} {deviation}"
            cells.append(text)
        if has_parameters:
            cells.append(_millions(row["parameters"]) or dash)
        cells += [_number(row[key], digits) or dash for key, _, digits in papers]
        rows.append(cells)
    return heads, rows


def _mean_and_spread(row: pd.Series, key: str, digits: int) -> tuple[str, str]:
    """Return the texts of a mean and of its standard deviation, empty where there is none.

    A size that no seed changes has none.
    """
    factor, deviation = 1, row[f"{key}_std"]
    if key in EXTRA_COLUMNS:
        factor = EXTRA_COLUMNS[key][2]
        deviation = deviation or math.nan
    return _number(factor * row[key], digits), _number(factor * deviation, digits)


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _millions(count) -> str:
    if pd.isna(count):
        return ""
    return f"{count / 1e6:.2f} M" if count >= 1e5 else f"{count / 1e3:.1f} k"


def _latex_mark(text: str) -> str:
    return rf"\textsuperscript{{{_latex(text)}}}" if text else ""


def _latex(text: str) -> str:
    replacements = {"\\": r"\textbackslash{}", "±": r"$\pm$", "–": "--", "−": "$-$"}
    replacements |= {"†": r"\dag{}", "‡": r"\ddag{}", "§": r"\S{}", "¶": r"\P{}"}
    replacements |= {c: f"${c}$" for c in "<>"}
    replacements |= {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(replacements.get(c, c) for c in text)
