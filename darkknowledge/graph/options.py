"""Options of the language model, the decoding graph and the decoder; nothing heavy is imported."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from darkknowledge.options import Options

Positive = Annotated[float, Field(gt=0)]


class LanguageModelOptions(Options):
    """How the language model is estimated; ignored where the corpus gives an ARPA file."""

    order: int = Field(default=3, ge=1, le=9, description="Longest n-gram.")
    cutoffs: list[Annotated[int, Field(ge=1)]] = Field(
        default=[1, 1, 2],
        description="Smallest count with which an n-gram of order 1, 2, 3 and so on is kept; the "
        "last value serves all higher orders. As SRILM's -gt1min and so on, trigrams that "
        "occur once are left out.",
    )
    pruning: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Relative-entropy pruning (Stolcke 1998): n-grams whose removal raises the "
        "perplexity by less than this share are removed, 1e-7 for example; 0 keeps all.",
    )
    unknown: str = Field(
        default="<UNK>", min_length=1, description="Word that stands for those without an entry."
    )

    @field_validator("cutoffs")
    @classmethod
    def _cutoffs(cls, value: list[int]) -> list[int]:
        if not value or value[0] != 1:
            raise ValueError("must begin with 1: every word of the lexicon keeps its unigram")
        if value != sorted(value):
            raise ValueError("must not fall with the order: an n-gram needs its history")
        return value


class GraphOptions(Options):
    """How lexicon, language model and HMM are composed."""

    silence_probability: float = Field(
        default=0.5, ge=0, lt=1, description="Probability of a silence between two words."
    )
    pronunciation_probabilities: bool = Field(
        default=False,
        description="Use probabilities of pronunciations, and of silence before and after each of "
        "them, counted in the training alignments (Kaldi's dict_dir_add_pronprobs.sh); "
        "silence_probability then counts for nothing. The graph of every stage then waits for "
        "the final alignments.",
    )
    transition_scale: float = Field(
        default=1.0, ge=0, description="Scale of the log-probabilities of leaving a state."
    )
    self_loop_scale: float = Field(
        default=0.1,
        ge=0,
        description="Scale of the log-probabilities of staying in a state against leaving it.",
    )


class DecodingOptions(Options):
    """Search options; scales, word penalty and beam are chosen on the dev set."""

    acoustic_scales: list[Positive] = Field(
        default=[0.05, 0.065, 0.08, 0.1, 0.125, 0.16, 0.2, 0.25, 0.32, 0.4],
        min_length=1,
        description="Grid from which the factor of the acoustic log-likelihoods is chosen. A "
        "student of a teacher at temperature T gives flatter posteriors and wants about T "
        "times the factor of the others.",
    )
    prior_scales: list[Annotated[float, Field(ge=0)]] = Field(
        default=[0.5, 1.0],
        min_length=1,
        description="Grid from which the factor of the log priors is chosen that are taken off a "
        "network's log posteriors (nnet1's `prior_scale`). What a student learns from soft "
        "targets at temperature T, its own softmax having none, is the teacher's posterior to "
        "the power 1/T; it wants about 1/T, the others 1.",
    )
    word_penalties: list[float] = Field(
        default=[0.0],
        min_length=1,
        description="Grid of costs per word, added to the graph; negative values favour many "
        "words.",
    )
    beams: list[Positive] = Field(
        default=[9.0, 11.0, 13.0],
        min_length=1,
        description="Grid of beams, in the units of the scaled scores. Scale and penalty are "
        "chosen with the widest; then the narrowest that is as good is taken.",
    )
    beam_tolerance: float = Field(
        default=0.1,
        ge=0,
        description="Word error rate, in per cent absolute, that a narrower beam may lose on dev "
        "against the widest.",
    )
    max_active: int = Field(default=7000, ge=1, description="Most states alive per frame.")
    min_active: int = Field(default=200, ge=0, description="States kept whatever the beam.")
    tuning_utterances: int | None = Field(
        default=None,
        ge=1,
        description="Dev utterances used for tuning, taken at even distances from the sorted "
        "list; all when absent.",
    )
    lattice_beam: Positive | None = Field(
        default=None,
        description="Where set, word lattices of the test set are made besides: all word "
        "sequences whose cost is at most this much above the best, in the units of the scaled "
        "scores. 4 to 8 are usual; null for no lattices.",
    )
    nbest: int = Field(
        default=10, ge=1, description="Entries of an utterance's n-best list, made of its lattice."
    )

    @model_validator(mode="after")
    def _grids(self) -> "DecodingOptions":
        for name in ("acoustic_scales", "prior_scales", "word_penalties", "beams"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: a value stands twice")
        if self.min_active >= self.max_active:
            raise ValueError("min_active must be below max_active")
        return self
