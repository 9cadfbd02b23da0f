"""The base of every section of a study; no heavy imports."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A section of the study: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
