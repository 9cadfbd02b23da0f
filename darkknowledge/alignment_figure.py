"""Words and phones of an alignment over the spectrogram of a few utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from darkknowledge.corpora.mixing import RATE
from darkknowledge.datadir import DataDirectory
from darkknowledge.figures import STYLE, save_figure
from darkknowledge.scoring import TimedWord

SECONDS = 3.0
BREAK = 1127.0  # of Kaldi's mel scale, 1127 ln(1 + f / 700)
TICKS = (500, 1000, 2000, 4000)


@dataclass(frozen=True)
class AlignedUtterance:
    """An utterance with what its alignment says.

    Attributes
    ----------
    title : str
    filters : (N, D) array
        Log energies of the mel filters.
    words, phones : sequence of TimedWord
    """

    title: str
    filters: np.ndarray
    words: Sequence[TimedWord]
    phones: Sequence[TimedWord]


def choose_utterances(data: DataDirectory, aligned: Mapping[str, object]) -> list[str]:
    """Choose utterances of a set to be shown: of its first and of its last condition one each.

    Parameters
    ----------
    data : DataDirectory
    aligned : mapping
        Has those with an alignment.

    Returns
    -------
    list of str
        The two whose length is nearest to three seconds, which can be read on a page; one where
        there is one condition.
    """
    known = sorted(set(data.wav) & set(aligned))
    conditions = sorted({data.condition[u] for u in known})
    chosen = []
    for condition in dict.fromkeys([*conditions[:1], *conditions[-1:]]):
        members = [u for u in known if data.condition[u] == condition]
        chosen.append(min(members, key=lambda u: (abs(data.duration[u] - SECONDS), u)))
    return chosen


def mel(hertz: float | np.ndarray) -> float | np.ndarray:
    """Return frequencies on Kaldi's mel scale."""
    return BREAK * np.log1p(np.asarray(hertz) / 700.0)


def draw_alignments(
    stem: str | Path,
    utterances: Sequence[AlignedUtterance],
    frame_shift: float,
    low: float,
    high: float,
    rate: int = RATE,
) -> None:
    """Draw utterances below one another, phones and words above each spectrogram.

    Parameters
    ----------
    stem : path
        Of the files, without suffix.
    utterances : sequence of AlignedUtterance
    frame_shift : float
        Seconds.
    low, high : float
        Lower edge of the first and upper edge of the last filter, Hz; ``high`` counts from half
        the rate where it is zero or less.
    rate : int
        Samples per second.
    """
    low, high = float(mel(low)), float(mel(high if high > 0 else rate / 2 + high))
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            max(1, len(utterances)), 1, figsize=(9.6, 0.3 + 2.15 * max(1, len(utterances))),
            layout="constrained", squeeze=False,
        )  # fmt: skip
        for axes, one in zip(panels[:, 0], utterances, strict=False):
            count, filters = one.filters.shape
            step = (high - low) / (filters + 1)
            seconds = count * frame_shift
            # the filters stand at even steps of the mel scale, the first one step above the edge
            bottom, top = low + step / 2, high - step / 2
            dark, bright = np.percentile(one.filters, [2, 99.5])
            axes.imshow(
                one.filters.T, origin="lower", aspect="auto", cmap="magma", vmin=dark, vmax=bright,
                extent=(0, seconds, bottom, top), interpolation="none",
            )  # fmt: skip
            shown = [f for f in TICKS if bottom < float(mel(f)) < top]
            axes.set_yticks([float(mel(f)) for f in shown], [f"{f / 1000:g}" for f in shown])
            axes.set(xlim=(0, seconds), ylabel="frequency, kHz")
            axes.grid(False)
            _strip(axes, one.phones, 1.0, 0.13, 6.5, {"color": "white", "linewidth": 0.5}, bottom)
            _strip(axes, one.words, 1.13, 0.15, 8.5, {"color": "white", "linewidth": 1.3}, bottom)
            axes.set_title(one.title, fontsize=8.5, pad=38, color="#475467")
        panels[-1, 0].set_xlabel("time, s")
    save_figure(figure, stem)


def _strip(
    axes: plt.Axes,
    units: Sequence[TimedWord],
    bottom: float,
    height: float,
    size: float,
    line: Mapping[str, object],
    floor: float,
) -> None:
    """Write units above the axes and draw their boundaries through the spectrogram."""
    place, seconds = axes.get_xaxis_transform(), axes.get_xlim()[1]
    for unit in units:
        end = unit.start + unit.duration
        silent = unit.word.partition("_")[0] in ("SIL", "SPN")
        axes.add_patch(
            plt.Rectangle(
                (unit.start, bottom),
                unit.duration,
                height,
                transform=place,
                clip_on=False,
                facecolor="#eaecf0" if silent else "white",
                edgecolor="#98a2b3",
                linewidth=0.5,
            )  # fmt: skip
        )
        name = unit.word.partition("_")[0] if size < 8 else unit.word
        room = min(1.0, unit.duration / seconds / (0.0011 * size * len(name)))
        axes.text(
            unit.start + unit.duration / 2, bottom + height / 2, name, transform=place,
            ha="center", va="center", fontsize=size * max(room, 0.6), clip_on=False,
        )  # fmt: skip
        for edge in (unit.start, end):
            axes.plot([edge, edge], [0, 1], transform=place, **line)
