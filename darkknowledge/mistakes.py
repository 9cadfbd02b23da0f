"""The utterances that a system recognises worst, word by word against what was said."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darkknowledge.datadir import DataDirectory
from darkknowledge.failures import problem_of
from darkknowledge.scoring import read_trn
from darkknowledge.word_errors import Counts, align_words, count_errors

MISTAKES_CSS = """
.aligned { display: flex; flex-wrap: wrap; gap: .3rem .55rem; margin: .2rem 0 1.1rem;
  font: .84rem/1.35 ui-monospace, "DejaVu Sans Mono", monospace; }
.aligned span { display: grid; grid-template-rows: repeat(3, auto); padding: 0 .2rem;
  border-radius: 3px; text-align: left; }
.aligned i { font-style: normal; }
.aligned .side { color: #667085; }
.aligned .right .heard { color: #98a2b3; }
.aligned .wrong { background: #fdf1e7; }
.aligned .wrong .heard, .aligned b { color: #b54708; font-weight: 700; }
.utterance { margin: 0; font-size: .86rem; color: #475467; }
"""


@dataclass(frozen=True)
class Mistaken:
    """An utterance with its errors.

    Attributes
    ----------
    utterance, condition : str
    counts : Counts
    pairs : list of (str or None, str or None)
        From `darkknowledge.word_errors.align_words`.
    """

    utterance: str
    condition: str
    counts: Counts
    pairs: list[tuple[str | None, str | None]]


def worst_utterances(
    references: Mapping[str, Sequence[str]],
    hypotheses: Mapping[str, Sequence[str]],
    conditions: Mapping[str, str],
    count: int,
) -> list[Mistaken]:
    """Find the utterances with most errors, of each sentence that in its worst condition.

    Parameters
    ----------
    references, hypotheses : mapping
        Words by utterance.
    conditions : mapping
        Condition by utterance.
    count : int
        Utterances at most; those without an error are left out.

    Returns
    -------
    list of Mistaken
        The worst first; with the same errors that of the higher rate, then by name.
    """
    counts = {u: count_errors(references[u], hypotheses[u], u) for u in references}
    order = sorted(counts, key=lambda u: (-counts[u].errors, -counts[u].wer, u))
    sentences: dict[tuple[str, ...], str] = {}
    for utterance in order:
        if counts[utterance].errors:
            sentences.setdefault(tuple(references[utterance]), utterance)
    return [
        Mistaken(u, conditions[u], counts[u], align_words(references[u], hypotheses[u]))
        for u in list(sentences.values())[:count]
    ]


def read_worst(
    systems: Sequence[Mapping[str, Any]], test: DataDirectory, count: int = 8
) -> list[tuple[str, list[Mistaken]]]:
    """Find the worst utterances of each model with its first seed.

    Parameters
    ----------
    systems : sequence of mapping
        ``model`` (its label), ``hypotheses`` and ``score``, files of its decoding.
    test : DataDirectory
    count : int
        Utterances of each.

    Returns
    -------
    list of (label, list of Mistaken)
        None of a model without a result.
    """
    found: dict[str, list[Mistaken]] = {}
    for system in systems:
        if system["model"] not in found:
            worst = []
            if problem_of(system["score"]) is None:
                hypotheses = read_trn(system["hypotheses"])
                worst = worst_utterances(test.text, hypotheses, test.condition, count)
            found[system["model"]] = worst
    return list(found.items())


def mistakes_html(worst: Sequence[Mistaken]) -> str:
    """Format utterances as an HTML fragment: reference above hypothesis, errors by letter."""
    lines = []
    for one in worst:
        counts = one.counts
        lines.append(
            f'<div><p class="utterance">{html.escape(one.utterance)}, condition '
            f"{html.escape(one.condition)}: {counts.errors} errors in {counts.words} words, "
            f"{counts.wer:.0f} % ({counts.substitutions} S, {counts.deletions} D, "
            f"{counts.insertions} I)</p>"
        )
        words = ['<span class="side"><i>said</i><i>heard</i></span>']
        for said, heard in one.pairs:
            letter = "" if said == heard else "D" if heard is None else "S" if said else "I"
            cells = "".join(
                f"<i{kind}>{html.escape(text)}</i>"
                for kind, text in (("", said or "***"), (" class=heard", heard or "***"))
            )
            kind = "wrong" if letter else "right"
            words.append(f'<span class="{kind}">{cells}{f"<b>{letter}</b>" * bool(letter)}</span>')
        lines.append(f'<div class="aligned">{"".join(words)}</div></div>')
    return "\n".join(['<div class="worst">', *lines, "</div>"])
