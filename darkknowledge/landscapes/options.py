"""What a study says about a loss landscape; no heavy imports."""

from typing import Any, Literal

from pydantic import Field, model_validator

from darkknowledge.options import Options


class BatchOptions(Options):
    """What the loss is evaluated on."""

    set: Literal["train", "dev"] = Field(
        default="train",
        description="Whose frames are evaluated. `train`: what training minimises. `dev`: the "
        "cross-validation set.",
    )
    seed: int = Field(
        default=1, ge=0, description="Of directions, batches and probes; not of the training."
    )


class GridOptions(BatchOptions):
    """Where the loss is evaluated for a picture."""

    frames: int = Field(
        default=20000,
        ge=1,
        description="Frames of the batch that surfaces, line and path are computed on: whole "
        "utterances, drawn until there are as many.",
    )
    points: int = Field(
        default=25,
        ge=3,
        description="Points along each axis of a surface or path, an odd number; a line has "
        "2p - 1. Points that are there are kept: from p on, 2p - 1 computes the new ones only.",
    )
    radius: float = Field(
        default=0.5,
        gt=0,
        description="How far a surface reaches from the weights; at 1 the weights of each unit "
        "are moved by as much as their own norm. A recurrent network moved that far may be "
        "chaotic: its loss then depends on how numbers are rounded.",
    )

    @model_validator(mode="after")
    def _centre_is_a_point(self) -> "GridOptions":
        if self.points % 2 == 0:
            raise ValueError(
                f"points {self.points}: the trained weights lie on no point of an even grid; "
                f"take {self.points + 1}"
            )
        return self


class CurvatureOptions(BatchOptions):
    """How curvature is measured."""

    batches: int = Field(
        default=3,
        ge=0,
        description="Minibatches on which curvature is measured, without an utterance in common; "
        "0 for no such numbers.",
    )
    batch_frames: int = Field(
        default=3000, ge=1, description="Frames of such a minibatch: whole utterances, as above."
    )
    eigenvalues: int = Field(
        default=3, ge=1, description="Largest eigenvalues of the Hessian that are computed."
    )
    steps: int = Field(
        default=20, ge=2, description="Most steps of Lanczos, each one Hessian-vector product."
    )
    probes: int = Field(
        default=10, ge=2, description="Random vectors of Hutchinson's estimate of the trace."
    )
    ball: float = Field(
        default=0.01,
        gt=0,
        description="Radius of the ball in which the largest rise of the loss is sought, as a "
        "share of the norm of the weights.",
    )


class Landscape(GridOptions, CurvatureOptions):
    """Loss surfaces of trained networks under several objectives, and numbers beside them."""

    title: str = Field(default="", description="Caption; the landscape's key when absent.")
    runs: list[str] = Field(
        min_length=1,
        description="Runs whose networks are looked at: a row of surfaces for each, around its "
        "weights, and its curvature.",
    )
    objectives: list[str] = Field(
        min_length=1,
        description="Runs whose objectives are evaluated, on targets 'hard', 'soft' or 'reg': "
        "hard targets, the teacher's soft targets at the temperature, or the mixture. A column "
        "of surfaces for each; numbers are compared with those of the first.",
    )
    line: tuple[str, str] | None = Field(
        default=None,
        description="Two runs of one network: the loss along the straight line between their "
        "weights.",
    )
    path: list[str] = Field(
        default_factory=list,
        description="Runs of one network whose weights are kept after each epoch, which trains "
        "them once more: the loss over the plane of the two principal directions of their way, "
        "through the end of the first.",
    )
    report: bool = Field(
        default=True,
        description="Whether the figures belong to the report, and so to what a plain "
        "`snakemake` makes, where tables show all its networks. Else they are made by the "
        "landscape's name: `snakemake NAME`.",
    )

    def chosen(self, kind: type[BatchOptions]) -> dict[str, Any]:
        """Return the options of a kind in plain types, defaults left out."""
        return self.model_dump(mode="json", exclude_defaults=True, include=set(kind.model_fields))

    @property
    def needed_runs(self) -> list[str]:
        """List the runs whose networks are looked at, each once."""
        return list(dict.fromkeys([*self.runs, *(self.line or ()), *self.path]))

    @property
    def views(self) -> list[str]:
        """List what is computed: a surface for each run, and the line and the path if any."""
        return [*(f"surface-{run}" for run in self.runs), *self._more]

    @property
    def pictures(self) -> list[str]:
        """List the figures."""
        return ["surfaces", *self._more, *(["curvature"] if self.batches else [])]

    @property
    def _more(self) -> list[str]:
        return [name for name in ("line", "path") if getattr(self, name)]
