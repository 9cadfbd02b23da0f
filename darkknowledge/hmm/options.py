"""Options of the Gaussian mixture stages; imports nothing heavy."""

from typing import Literal

from pydantic import Field, model_validator

from darkknowledge.options import Options

Stage = Literal["mono", "tri1", "tri2b", "tri3b"]
STAGES: tuple[Stage, ...] = ("mono", "tri1", "tri2b", "tri3b")


class AlignmentOptions(Options):
    """Forced alignment (Kaldi's gmm-align-compiled)."""

    acoustic_scale: float = Field(
        0.1, gt=0, description="Factor on log-likelihoods; the beams are in scaled units."
    )
    transition_scale: float = Field(1.0, ge=0, description="Factor on transitions onwards.")
    self_loop_scale: float = Field(0.1, ge=0, description="Factor on self-loops.")
    beam: float = Field(10.0, gt=0, description="Beam of the first attempt.")
    retry_beam: float = Field(40.0, gt=0, description="Beam of the second attempt.")
    silence_probability: float = Field(
        0.5, gt=0, lt=1, description="Probability of silence at either end and between words."
    )
    boost_silence: float = Field(
        1.25, gt=0, description="Factor on the likelihood of silence while aligning."
    )
    allowed_failures: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Share of the utterances that may fail to align; more is an error.",
    )


class EstimationOptions(Options):
    """Maximum-likelihood estimation (Kaldi's gmm-est)."""

    variance_floor: float = Field(0.001, gt=0, description="Smallest variance.")
    minimum_occupancy: float = Field(
        10.0, ge=0, description="Gaussians with fewer frames are removed, one per pdf excepted."
    )
    minimum_weight: float = Field(
        1e-5, ge=0, description="Gaussians of smaller weight are removed, one per pdf excepted."
    )
    power: float = Field(
        0.25, ge=0, le=1, description="Gaussians are shared out by occupancy to this power."
    )
    minimum_split: float = Field(
        20.0, ge=0, description="Frames per Gaussian below which a pdf is not split further."
    )
    perturbation: float = Field(
        0.01, gt=0, description="Standard deviations by which the halves of a split move apart."
    )
    transition_floor: float = Field(0.01, ge=0, lt=0.2, description="Smallest probability.")
    transition_minimum: float = Field(
        5.0, ge=0, description="Frames below which a state keeps its transitions."
    )


class TreeOptions(Options):
    """The state-tying tree (Kaldi's cluster-phones and build-tree)."""

    leaves: int = Field(
        1200, ge=1, description="Number of tied states aimed at, before leaves are merged."
    )
    minimum_gain: float = Field(
        300.0, ge=0, description="Log-likelihood that a split must gain at least."
    )
    minimum_frames: float = Field(
        20.0, ge=0, description="Frames that each side of a split must keep."
    )
    merge: bool = Field(
        True,
        description="Merge leaves of one root afterwards while it costs less than the last "
        "split gained.",
    )
    variance_floor: float = Field(0.01, gt=0, description="Smallest variance in the criterion.")


class MonophoneOptions(Options):
    """Flat-start monophones (Kaldi's steps/train_mono.sh)."""

    gaussians: int = Field(1000, ge=1, description="Gaussians in all at the end.")
    iterations: int = Field(40, ge=2, description="Passes of estimation.")
    increase_until: int = Field(30, ge=1, description="Last pass that adds Gaussians.")
    realign: tuple[int, ...] = Field(
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38),
        description="Passes that align anew before they estimate.",
    )
    initial_beam: float = Field(6.0, gt=0, description="Beam of the first alignment.")
    first_occupancy: float = Field(3.0, ge=0, description="minimum_occupancy after the flat start.")
    alignment: AlignmentOptions = Field(AlignmentOptions(), description="Forced alignment.")
    estimation: EstimationOptions = Field(EstimationOptions(), description="Estimation.")


class DeltaOptions(Options):
    """Triphones on deltas (Kaldi's steps/train_deltas.sh)."""

    gaussians: int = Field(8000, ge=1, description="Gaussians in all at the end.")
    iterations: int = Field(35, ge=2, description="Passes of estimation.")
    increase_until: int = Field(25, ge=1, description="Last pass that adds Gaussians.")
    realign: tuple[int, ...] = Field((10, 20, 30), description="Passes that align anew.")
    tree: TreeOptions = Field(TreeOptions(leaves=1200), description="State tying.")
    alignment: AlignmentOptions = Field(AlignmentOptions(), description="Forced alignment.")
    estimation: EstimationOptions = Field(EstimationOptions(), description="Estimation.")


class LdaMlltOptions(DeltaOptions):
    """Triphones on LDA+MLLT (Kaldi's steps/train_lda_mllt.sh)."""

    gaussians: int = Field(10000, ge=1, description="Gaussians in all at the end.")
    tree: TreeOptions = Field(TreeOptions(leaves=1500), description="State tying.")
    context: int = Field(3, ge=0, description="Frames spliced on each side.")
    dimension: int = Field(40, ge=1, description="Features kept by the LDA.")
    mllt: tuple[int, ...] = Field((2, 4, 6, 12), description="Passes that estimate the MLLT.")


class SatOptions(DeltaOptions):
    """Speaker-adaptive triphones with fMLLR (Kaldi's steps/train_sat.sh)."""

    gaussians: int = Field(10000, ge=1, description="Gaussians in all at the end.")
    tree: TreeOptions = Field(TreeOptions(leaves=1500), description="State tying.")
    estimation: EstimationOptions = Field(
        EstimationOptions(power=0.2), description="Estimation; the power is train_sat.sh's."
    )
    fmllr: tuple[int, ...] = Field(
        (2, 4, 6, 12), description="Passes that estimate the speakers' transforms anew."
    )
    fmllr_frames: float = Field(
        500.0,
        ge=1,
        description="Frames of speech below which a speaker keeps the features as they are.",
    )
    silence_weight: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Weight of silence frames when transforms are estimated from recognised "
        "words (decode_fmllr.sh); in training it is 0.",
    )


class HmmOptions(Options):
    """The Gaussian mixture stages, each aligned by the one before."""

    stages: tuple[Stage, ...] = Field(
        ("mono", "tri1", "tri2b"),
        description="Stages that are trained, in this order; tri3b may be added.",
    )
    aligner: Literal["tri2b", "tri3b"] = Field(
        "tri2b", description="The stage from whose alignments and graph the networks learn."
    )

    mono: MonophoneOptions = Field(MonophoneOptions(), description="Monophones.")
    tri1: DeltaOptions = Field(DeltaOptions(), description="Triphones on deltas.")
    tri2b: LdaMlltOptions = Field(LdaMlltOptions(), description="Triphones on LDA+MLLT.")
    tri3b: SatOptions = Field(SatOptions(), description="Speaker-adaptive triphones.")
    alignment: AlignmentOptions = Field(
        AlignmentOptions(), description="The final alignments, from which the networks learn."
    )
    seed: int = Field(0, ge=0, description="Of the flat start and of split Gaussians.")
    shard_frames: int = Field(
        60000,
        ge=1000,
        description="Frames worked on at a time, about; fixes the order of every sum.",
    )
    cached_frames: int = Field(
        1000000,
        ge=0,
        description="Frames whose features and graphs each process keeps; beyond it they are "
        "made again when needed, which bounds memory (about 1.5 GB per million).",
    )

    @model_validator(mode="after")
    def _check_stages(self):
        if len(self.stages) < 3 or self.stages != STAGES[: len(self.stages)]:
            raise ValueError(
                f"stages: {list(self.stages)}; expected {list(STAGES[:3])} or {list(STAGES)}"
            )
        if self.aligner not in self.stages:
            raise ValueError(f"aligner: {self.aligner} is not among the stages")
        return self
