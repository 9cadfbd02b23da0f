"""How compared pairs are shown: marks beside the second run's WER, notes, HTML and CSV.

Pairs are records of `darkknowledge.significance.compare_pairs`. Every first run has a mark of its
own; a second run wears the marks of those from which it differs by more than luck.
"""

import csv
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

SYMBOLS = "†‡§¶"
CAPTION = (
    "Look at the interval before p: it says how large the difference may be, and a wide one around "
    "zero means that this test set cannot tell, not that the two are equal. A mark stands where p, "
    "corrected for the number of pairs, is below 0.05."
)


def symbols(pairs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Give each first run its mark, in their order."""
    firsts = dict.fromkeys(record["first"] for record in pairs)
    count = len(SYMBOLS)
    return {name: SYMBOLS[i % count] * (1 + i // count) for i, name in enumerate(firsts)}


def differs_from(pairs: Sequence[Mapping[str, Any]], run: str) -> list[str]:
    """Name the first runs from which a run differs by more than luck."""
    return [r["first"] for r in pairs if r["second"] == run and r.get("significant")]


def marks(pairs: Sequence[Mapping[str, Any]], run: str) -> str:
    """Return the marks of a run, in the order of `symbols`."""
    against = differs_from(pairs, run)
    return "".join(mark for name, mark in symbols(pairs).items() if name in against)


def method_notes(pairs: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[str]:
    """Say in words what the marks and the numbers of the pairs are.

    Parameters
    ----------
    pairs : sequence of mapping
    labels : mapping
        Label of each run.
    """
    tested = [record for record in pairs if "p" in record]
    if not tested:
        return []
    meaning = ", ".join(f"{mark} {labels[name]}" for name, mark in symbols(pairs).items())
    seeds = max(len(record["seeds"]) for record in tested)
    sentences, utterances = tested[0]["sentences"], tested[0]["utterances"]
    drawn = f"{sentences} sentences"
    if sentences < utterances:
        drawn += ", each with all its conditions"
    if seeds > 1:
        drawn += f", and over n = {seeds} seeds"
    elif seeds:
        drawn += ", with one seed: nothing is said of networks trained anew"
    number = f" for {len(tested)} pairs (Holm)" if len(tested) > 1 else ""
    return [
        f"Marks: WER differs by more than luck (corrected p < 0.05) from that of {meaning}.",
        f"Interval (95 %) and p: bootstrap over {drawn}; p is corrected{number}. MAPSSWE: p of "
        "NIST's test over all utterances, not corrected.",
    ]


def pair_notes(pairs: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[str]:
    """Say in one line for each pair how far its second run is from its first."""
    notes = []
    for record in pairs:
        names = f"{labels[record['second']]} against {labels[record['first']]}"
        if "p" not in record:
            notes.append(f"{names}: not compared; {record['problem']}.")
            continue
        mark = f"{symbols(pairs)[record['first']]} " if record["significant"] else ""
        note = f"{mark}{names}: {_points(record['difference'])} points {_range(record['interval'])}"
        if record["relative"] is not None:
            note += f", {_points(record['relative'], 1)} % relative"
        note += f"; p {_p(record['p_holm'], '= ')}, MAPSSWE p {_p(record['mapsswe']['p'], '= ')}"
        notes.append(f"{note}{_left_out(record)}.")
    return notes


def pairs_html(pairs: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    """Format pairs as an HTML table with a caption that says what to look for."""
    heads = ("Run", "against", "WER, points", "95 %", "relative %", "95 %")
    heads += ("p", "p corrected", "MAPSSWE p", "")
    lines = ['<div class="wide"><table class="results">', "<thead>", "<tr>"]
    lines += [f"<th{' class=text' if i < 2 else ''}>{head}</th>" for i, head in enumerate(heads)]
    lines += ["</tr>", "</thead>", "<tbody>"]
    for record in pairs:
        names = (labels[record["second"]], labels[record["first"]])
        cells = [f'<td class="text">{html.escape(name)}</td>' for name in names]
        if "p" not in record:
            text = html.escape(f"not compared; {record['problem']}")
            cells.append(f'<td class="gap" colspan="{len(heads) - 2}">{text}</td>')
        else:
            relative, interval = record["relative"], record["relative_interval"]
            values = [
                _points(record["difference"]),
                _range(record["interval"]),
                "–" if relative is None else _points(relative, 1),
                "–" if interval is None else _range(interval, 1),
                *map(_p, (record["p"], record["p_holm"], record["mapsswe"]["p"])),
            ]
            cells += [f"<td>{html.escape(value)}</td>" for value in values]
            mark = symbols(pairs)[record["first"]] if record["significant"] else ""
            cells.append(f'<td class="text">{mark}{html.escape(_left_out(record))}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines += ["</tbody>", "</table></div>", f'<p class="note">{html.escape(CAPTION)}</p>']
    return "\n".join(lines)


def pairs_csv(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Format pairs as CSV, one line for each; intervals as ``low`` and ``high``."""
    columns = ["first", "second", "seeds", "utterances", "sentences", "wer_first", "wer_second"]
    columns += ["difference", "low", "high", "relative", "relative_low", "relative_high"]
    columns += ["p", "p_holm", "significant", "mapsswe_segments", "mapsswe_z", "mapsswe_p"]
    columns += ["problem"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for record in pairs:
        row = {**record, "seeds": " ".join(map(str, record["seeds"]))}
        if "p" in record:
            row["wer_first"], row["wer_second"] = record["wer"]
            row["low"], row["high"] = record["interval"]
            row["relative_low"], row["relative_high"] = record["relative_interval"] or (None, None)
            row |= {f"mapsswe_{key}": value for key, value in record["mapsswe"].items()}
        writer.writerow(row)
    return text.getvalue()


def _left_out(record: Mapping[str, Any]) -> str:
    return f"; without {record['problem']}" if record["problem"] else ""


def _points(value: float, digits: int = 2) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _range(interval: Sequence[float], digits: int = 2) -> str:
    low, high = (_points(value, digits) for value in interval)
    return f"[{low}, {high}]"


def _p(value: float, equals: str = "") -> str:
    return "< 0.001" if value < 0.001 else f"{equals}{value:.3f}"
