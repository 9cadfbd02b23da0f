"""The errors that a user can mend."""

from collections.abc import Sequence

SHOWN = 20
LONGEST_LINE = 2000


def first_of(problems: Sequence[str], what: str = "more") -> str:
    """Put problems one to a line, 20 of them and the number of the rest."""
    rest = len(problems) - SHOWN
    return "\n".join([*problems[:SHOWN], *([f"and {rest} {what}"] if rest > 0 else [])])


def shown(value: object, most: int = 80) -> str:
    """Put a value found in a file as it stands in messages: quoted, cut where it is long."""
    text = repr(value[: most + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def cut(message: str) -> str:
    """Cut the lines of a message that a value makes too long to read, in their middle."""
    return "\n".join(
        line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-300:]}"
        for line in message.split("\n")
    )


class DataError(Exception):
    """Data that cannot be used.

    The message names the file, line, key or utterance, the value found, what was expected,
    and what mends it.
    """

    def __init__(self, message: str):
        super().__init__(cut(message))


class TrainingError(Exception):
    """A training that cannot go on."""


class DivergenceError(TrainingError):
    """A training whose loss rises or is no longer a number; other runs go on without it."""
