"""The errors that a user can mend."""


class DataError(Exception):
    """Data that cannot be used.

    The message names the file, line, key or utterance, the value found, what was expected,
    and what mends it.
    """


class TrainingError(Exception):
    """A training that cannot go on."""


class DivergenceError(TrainingError):
    """A training whose loss rises or is no longer a number; other runs go on without it."""
