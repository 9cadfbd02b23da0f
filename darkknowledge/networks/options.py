"""Options of networks, of their targets and of their training.

The description of each field, with its unit, the reason for its default and the source, is the
configuration reference. Nothing heavy is imported here.
"""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from darkknowledge.options import Options

# The training options that have an effect on the second phase alone.
FINETUNING = ("finetune_learning_rate", "finetune_epochs")


class TrainingOptions(Options):
    """How a network is trained: optimiser, batches, learning-rate schedule, clipping."""

    optimiser: Literal["sgd", "adam"] = Field(
        default="adam",
        description="`sgd`, with momentum, as in the papers and in Kaldi's nnet1, or `adam`, "
        "which needs no search of the learning rate on a corpus of half an hour.",
    )
    learning_rate: float = Field(
        default=0.001,
        gt=0,
        description="Step size of the first epoch. 0.001 is Adam's usual value. The paper's "
        "student starts at 0.0001 with `sgd` and `loss: sum` (1505.04630); its teacher's is not "
        "stated, nnet1's recipe has 0.008 with `sgd` and `loss: sum`.",
    )
    momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="Momentum of `sgd`, and the first-moment decay of `adam`. 0.9 is the papers' "
        "value for the student and Adam's usual one.",
    )
    loss: Literal["mean", "sum"] = Field(
        default="mean",
        description="Whether the gradient of a minibatch is the mean over the frames of a full "
        "one or, as in Kaldi's nnet1 and so presumably in the papers, their sum. With `sum` the "
        "learning rate is per frame: 80 frames at 0.0001 move as far as their mean at 0.008.",
    )
    batch: int = Field(
        default=256,
        ge=1,
        description="Frames per minibatch of a feed-forward network. 256 is nnet1's value; the "
        "papers are silent.",
    )
    streams: int = Field(
        default=32,
        ge=1,
        description="Utterances that a recurrent network reads side by side. The paper has 4 "
        "(latest text of 1505.04630); 32 keep a core busy: a 256-cell layer trains at about "
        "34,000 frames/s, with 8 streams at about 28,000.",
    )
    frames: int | None = Field(
        default=20,
        ge=1,
        description="Steps of truncated back-propagation through time; the state is carried on "
        "to the next chunk of the same utterance. 20 in the latest text of 1505.04630. null for "
        "whole utterances: `streams` of similar length side by side, and back-propagation from "
        "their end to their beginning.",
    )
    initialisation: Literal["random", "rbm", "layerwise"] = Field(
        default="random",
        description="How the hidden layers of a feed-forward network start (1506.02256, Table "
        "III). `random`; `rbm`: as a stack of restricted Boltzmann machines with the settings of "
        "nnet1's `pretrain_dbn.sh`, for sigmoid networks; `layerwise`: one layer is trained on "
        "hard targets, then the output layer starts afresh on another layer, and so on (Seide et "
        "al. 2011). Any `targets` are learnt afterwards.",
    )
    initialisation_epochs: int = Field(
        default=3,
        ge=1,
        description="Epochs for each layer of `initialisation`, twice as many for the first "
        "machine of `rbm`. 3 is the `rbm_iter` of Kaldi's Aurora4 recipe; the papers are silent.",
    )
    epochs: int = Field(
        default=20,
        ge=1,
        description="Most epochs of a phase; nnet1's `max_iters`, as the papers are silent.",
    )
    start_halving: float = Field(
        default=0.01,
        ge=0,
        description="The learning rate is halved after every epoch from the first one whose "
        "relative improvement of the cross-validation loss is below this (nnet1's "
        "`start_halving_impr`; the papers are silent).",
    )
    end_halving: float = Field(
        default=0.001,
        ge=0,
        description="Once halving has begun, training ends with an epoch that improves by less "
        "than this (nnet1's `end_halving_impr`).",
    )
    halving_factor: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Factor of the learning rate when halving (nnet1's `halving_factor`).",
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="Epochs in a row below `end_halving` that are borne before training ends. "
        "0 is nnet1's rule. The best epoch is kept in any case.",
    )
    finetune_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Learning rate at which the second phase of `pretrain` starts (hard targets "
        "after soft ones); that of the first phase when absent. The papers are silent.",
    )
    finetune_epochs: int | None = Field(
        default=None,
        ge=1,
        description="Most epochs of the second phase of `pretrain`; `epochs` when absent.",
    )
    clip: float | None = Field(
        default=5.0,
        gt=0,
        description="The gradient is scaled down to this Euclidean norm where it is longer; null "
        "for no clipping. nnet1 clips the elements of the recurrent gradient at 5; the papers "
        "are silent.",
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        description="L2 penalty: this factor times the weight is added to its gradient. 0, as "
        "nnet1's default; the papers are silent.",
    )
    update: Literal["all", "gates", "gates+output"] = Field(
        default="all",
        description="Weights that training changes: `gates`, those of a highway network's gates "
        "alone; `gates+output`, and its output layer (1610.05812).",
    )
    precision: Literal["float32", "bf16"] = Field(
        default="float32",
        description="Arithmetic of the matrix products in training. bf16 is faster on "
        "data-centre GPUs and on processors with AMX; scoring is always in float32.",
    )


class InputOptions(Options):
    """What every network reads."""

    input: Literal["fbank", "fmllr"] = Field(
        default="fbank",
        description="What a frame is, mean and variance normalised per speaker: `fbank`, log-mel "
        "filter banks; or `fmllr`, MFCC with the LDA+MLLT and the speaker's transform of the "
        "stage tri3b, as in 1504.01483 and 1512.04280. Transforms of the training set come from "
        "its alignments, those of dev and test from what tri3b recognises.",
    )
    deltas: int = Field(
        default=0,
        ge=0,
        le=2,
        description="Time derivatives appended to the normalised features: 0 none, as in the "
        "papers; 1 first, 2 first and second, as nnet1's recipes (`add-deltas`).",
    )


class DnnOptions(InputOptions):
    """Feed-forward network over a window of frames."""

    kind: Literal["dnn"] = Field(default="dnn", description="Feed-forward network.")
    layers: int = Field(
        default=4, ge=1, description="Hidden layers; 4 in the papers' teacher (1505.04630)."
    )
    units: int = Field(
        default=2048, ge=1, description="Units per hidden layer; 2048 in the papers' teacher."
    )
    activation: Literal["sigmoid", "relu"] = Field(
        default="sigmoid",
        description="Hidden units. The papers are silent; nnet1's networks are sigmoid.",
    )
    splice: int = Field(
        default=5,
        ge=0,
        description="Frames of context on each side of the input window; 5 make the papers' "
        "symmetric window of 11.",
    )
    lda: int | None = Field(
        default=200,
        ge=1,
        description="Dimensions that a linear discriminant analysis, estimated on the training "
        "set and then fixed, keeps of the window; 200 in the papers' teacher. null for none, as "
        "in paper 2's DNN students.",
    )
    training: TrainingOptions = Field(
        default_factory=TrainingOptions, description="How runs of this network are trained."
    )


class LstmOptions(InputOptions):
    """Unidirectional LSTM with a recurrent projection."""

    kind: Literal["lstm"] = Field(default="lstm", description="Recurrent network.")
    layers: int = Field(
        default=2,
        ge=1,
        description="LSTM layers. 2 in the latest text of 1505.04630; 1506.02256 gives the same "
        "results to 1 layer.",
    )
    units: int = Field(default=800, ge=1, description="Cells per layer; 800 in 1505.04630.")
    projection: int | None = Field(
        default=512,
        ge=1,
        description="Size of the recurrent projection, which is also the layer's output; null "
        "for none. The paper keeps the projection without giving its size; 512 is the default "
        "of nnet1's `make_lstm_proto.py`.",
    )
    delay: int = Field(
        default=5,
        ge=0,
        description="Frames that the network reads beyond the one it labels. The papers are "
        "silent; 5 is the default of nnet1's `nnet-train-lstm-streams`.",
    )
    init: float | None = Field(
        default=None,
        gt=0,
        description="The weights of the LSTM start uniform in ±init. null for 1/√cells, the "
        "usual choice (nnet1: 0.01); the papers are silent.",
    )
    forget_bias: float = Field(
        default=1.0,
        description="Bias that the forget gates start with. 1 lets the cells remember from the "
        "start (Jozefowicz et al. 2015); nnet1 starts near 0.",
    )
    training: TrainingOptions = Field(
        default_factory=TrainingOptions, description="How runs of this network are trained."
    )

    @model_validator(mode="after")
    def _projection_is_smaller(self) -> "LstmOptions":
        if self.projection is not None and self.projection >= self.units:
            raise ValueError(
                f"projection {self.projection} is not smaller than units {self.units}; "
                "give a smaller one, or null for none"
            )
        return self


class BlstmOptions(InputOptions):
    """Bidirectional LSTM between feed-forward layers; it reads whole utterances."""

    kind: Literal["blstm"] = Field(default="blstm", description="Bidirectional network.")
    splice: int = Field(
        default=0,
        ge=0,
        description="Frames of context on each side of what the first layer reads: the time "
        "context of TC-DNN-BLSTM-DNN, whose width 1504.01483 does not state.",
    )
    below: list[Annotated[int, Field(ge=1)]] = Field(
        default=[],
        description="Widths of rectified linear layers before the recurrent ones. [2048, 2048] in "
        "the teacher of 1504.01483; none for a plain BLSTM.",
    )
    layers: int = Field(
        default=1, ge=1, description="Bidirectional layers; 1 in the teacher of 1504.01483."
    )
    units: int = Field(
        default=256,
        ge=1,
        description="Cells of each direction of a layer. 256 in 1504.01483; 128 in the text of "
        "1504.01482.",
    )
    above: list[Annotated[int, Field(ge=1)]] = Field(
        default=[],
        description="Widths of rectified linear layers after the recurrent ones; [2048, 2048] in "
        "the teacher of 1504.01483.",
    )
    cell_clip: float | None = Field(
        default=None,
        gt=0,
        description="Largest magnitude of a cell; 3 in 1504.01483. null for no limit. A GPU runs "
        "layers with a limit step by step, which is slower.",
    )
    bias: bool = Field(
        default=True, description="Whether the gates have biases; not in 1504.01483."
    )
    init: float | None = Field(
        default=None,
        gt=0,
        description="The weights of the LSTM start uniform in ±init. null for 1/√cells, the "
        "usual choice; 0.01 in 1504.01482.",
    )
    forget_bias: float = Field(
        default=1.0,
        description="Bias that the forget gates start with (Jozefowicz et al. 2015); of no effect "
        "where there is none.",
    )
    training: TrainingOptions = Field(
        default_factory=TrainingOptions, description="How runs of this network are trained."
    )

    @model_validator(mode="after")
    def _bias_is_there(self) -> "BlstmOptions":
        if not self.bias and self.forget_bias != type(self).model_fields["forget_bias"].default:
            raise ValueError("forget_bias has no effect with bias: false; remove it")
        return self


class HighwayOptions(InputOptions):
    """Feed-forward network whose hidden layers stand behind gates that all of them share."""

    kind: Literal["highway"] = Field(
        default="highway", description="Highway deep neural network (HDNN)."
    )
    layers: int = Field(
        default=10, ge=2, description="Hidden layers; 10 and 15 in 1512.04280 and 1608.00892."
    )
    units: int = Field(
        default=128, ge=1, description="Units per hidden layer; 128 in the papers' smallest."
    )
    gates: Literal["both", "constrained", "transform", "carry"] = Field(
        default="both",
        description="`both`: transform and carry gate, each with its weights. `constrained`: the "
        "carry gate is 1 - the transform gate, which 1610.05812 finds worse. `transform` or "
        "`carry`: that gate alone, the other being 1.",
    )
    splice: int = Field(
        default=7,
        ge=0,
        description="Frames of context on each side of the input window; 7 make the papers' 15 "
        "frames.",
    )
    lda: int | None = Field(
        default=None,
        ge=1,
        description="Dimensions that a linear discriminant analysis keeps of the window; null for "
        "none, as in the papers.",
    )
    init: float | None = Field(
        default=None,
        gt=0,
        description="All weights start uniform in ±init, biases at 0; 0.5 in 1512.04280. null for "
        "Glorot's range, which depends on the widths.",
    )
    training: TrainingOptions = Field(
        default_factory=TrainingOptions, description="How runs of this network are trained."
    )


NetworkOptions = Annotated[
    DnnOptions | LstmOptions | BlstmOptions | HighwayOptions, Field(discriminator="kind")
]

SEQUENCE = ("smbr", "mmi")
SOFT_ONLY = ("temperature", "student_temperature")


class TargetOptions(Options):
    """What a run is trained on."""

    targets: Literal["hard", "soft", "reg", "pretrain", "logits", "smbr", "mmi"] = Field(
        default="hard",
        description="`hard`: the states of the forced alignment. `soft`: the teacher's "
        "posteriors. `reg`: both at once, alpha·hard + soft. `pretrain`: soft, then hard; the "
        "first phase is that of a `soft` run that is alike, where the study shows one. "
        "`logits`: the teacher's logits by squared error (Ba and Caruana, 1312.6184), which "
        "1505.04630 tried and found worse; their cache holds 2 bytes per pdf and frame. `smbr`, "
        "`mmi`: whole utterances against the competing paths of lattices that the run in `start` "
        "makes (1608.00892, section 2.3), plus `smoothing`.",
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        description="T of the teacher's softmax, p = softmax(z/T). The papers try 1 and 2.",
    )
    alpha: float = Field(
        default=0.5,
        ge=0,
        description="Weight of the hard targets in `reg`; the soft ones have weight 1. 0.5 in "
        "1505.04630.",
    )
    student_temperature: float = Field(
        default=1.0,
        gt=0,
        description="T of the student's own softmax in the soft term. 1: the equation that "
        "1505.04630 prints has no T in y, though its footnote weighs it. Hinton et al. "
        "(1503.02531) and the highway papers give student and teacher the same T.",
    )
    scale: Literal["t_squared", "one"] = Field(
        default="t_squared",
        description="Factor of the soft term in `reg`: T² of the teacher, as the latest text of "
        "1505.04630 has it, or 1, as its first version has it.",
    )
    smoothing: float = Field(
        default=0.2,
        ge=0,
        description="p of `smbr` and `mmi`: weight of the cross-entropy, with the teacher's soft "
        "targets where there is a teacher, else with the alignment. 0.2 in 1608.00892. As in "
        "Kaldi's programs the acoustic scale is no factor of the gradient beside it.",
    )
    boost: float = Field(
        default=0.0,
        ge=0,
        description="b of boosted `mmi` (Povey et al. 2008): what each correct frame takes off a "
        "competing path's log weight; 0.1 is usual.",
    )
    fresh_output: bool = Field(
        default=False,
        description="Whether the output layer starts afresh between the two phases of "
        "`pretrain`. 1506.02256 does so for its DNN students; for the recurrent ones neither "
        "paper says it.",
    )

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> "TargetOptions":
        used = {
            "hard": (),
            "soft": SOFT_ONLY,
            "reg": (*SOFT_ONLY, "alpha", "scale"),
            "pretrain": (*SOFT_ONLY, "fresh_output"),
            "logits": (),
            "smbr": (*SOFT_ONLY, "smoothing"),
            "mmi": (*SOFT_ONLY, "smoothing", "boost"),
        }[self.targets]
        for name in TargetOptions.model_fields:
            if name != "targets" and name in self.model_fields_set and name not in used:
                raise ValueError(f"{name} has no effect on targets '{self.targets}'; remove it")
        return self

    @property
    def cache_temperature(self) -> float:
        """Temperature of the teacher's cache; infinite for logits, what soft targets tend to."""
        return math.inf if self.targets == "logits" else self.temperature


class SequenceOptions(Options):
    """The search for the competing paths of `smbr` and `mmi` (nnet1's make_denlats.sh).

    Its language model is that of the words of the training set one by one, its scales are those
    that dev chose for the run in `start`.
    """

    beam: float = Field(default=13.0, gt=0, description="Beam of the search, in scaled units.")
    lattice_beam: float = Field(
        default=7.0, gt=0, description="Paths that are worse than the best by more are left out."
    )
    max_active: int = Field(default=5000, ge=1, description="Most states alive per frame.")


class SoftTargetOptions(Options):
    """How soft targets are stored."""

    mass: float = Field(
        default=0.99,
        gt=0,
        le=1,
        description="Of each frame, the fewest states that together have at least this "
        "probability are stored, renormalised. 0.99 costs at most -ln 0.99 = 0.01 nats of KL; "
        "1504.01483 stores 0.98; the papers on LSTM students are silent.",
    )
    most: int | None = Field(
        default=None,
        ge=1,
        description="Most states stored of a frame, whatever their mass; null for no limit.",
    )
    quantisation: Literal["log8", "linear16"] = Field(
        default="log8",
        description="How a probability is stored: `log8`, its logarithm in one byte, at most 5 % "
        "off, none below 3e-6; or `linear16`, two bytes, at most 8e-6 off.",
    )
