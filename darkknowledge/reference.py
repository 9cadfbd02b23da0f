"""The configuration reference, written from the types of the study.

``python -m darkknowledge.reference > docs/configuration.md`` renews it; a test compares.
"""

import json
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from darkknowledge.landscapes.options import Landscape
from darkknowledge.networks.options import NetworkOptions
from darkknowledge.study import CorpusOptions, Run, Study, Sweep, Table, Top

INTRODUCTION = """\
# Configuration reference

A study is `config.yaml` with other files laid over it: `snakemake --configfile studies/x.yaml`.
Mappings are merged key by key, lists and values are replaced, and an entry of `corpora`,
`networks`, `runs`, `tables`, `sweeps` or `landscapes` that is set to `null` is left out. Single
values can be set by `--config key=value` at the top level only (`--config data_root=/data`).

Every mistake in a study is reported before any job starts. Only options that differ from
their default take part in the decision whether a result is up to date: a new run, or a new
option with a default, retrains nothing.

This page is made from the types in `darkknowledge/study.py` and the `options.py` modules by
`python -m darkknowledge.reference > docs/configuration.md`.
"""


SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _type(schema: dict[str, Any]) -> str:
    """Say in words what a JSON schema allows."""
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"`{value}`" for value in values)
    if "$ref" in schema:
        return "mapping"
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            inner = [_type(item) for item in schema["prefixItems"]]
            return f"[{', '.join(inner)}]"
        return f"list of {_type(schema.get('items', {}))}"
    kind = {"object": "mapping", None: "any"}.get(schema.get("type"), schema.get("type"))
    bounds = [f"{sign} {schema[key]:g}" for key, sign in SIGNS.items() if key in schema]
    return ", ".join([kind, *bounds])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    return f"`{json.dumps(value)}`"


def _section(title: str, model: type[BaseModel], level: int = 2) -> list[str]:
    lines = [f"{'#' * level} {title}", "", (model.__doc__ or "").strip().split("\n\n")[0], ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    nested = []
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        text = (field.description or "").replace("\n", " ").replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(properties[name])} | {_default(field)} | {text} |")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            nested.append((name, field.annotation))
    lines.append("")
    for name, inner in nested:
        lines += _section(f"{title}.{name}", inner, level + 1)
    return lines


def reference() -> str:
    """Write the whole reference as Markdown."""
    annotations = Study.__annotations__
    lines = [INTRODUCTION, *_section("The top level", Top)]
    for model in get_args(get_args(CorpusOptions)[0]):
        kind = get_args(model.model_fields["kind"].annotation)[0]
        lines += _section(f"corpora.*name* of kind {kind}", model)
    for key in (
        "features",
        "hmm",
        "language_model",
        "graph",
        "decoding",
        "soft_targets",
        "sequence",
        "jobs",
    ):
        lines += _section(key, annotations[key])
    for model in get_args(get_args(NetworkOptions)[0]):
        kind = get_args(model.model_fields["kind"].annotation)[0]
        lines += _section(f"networks.*name* of kind {kind}", model)
    lines += _section("runs.*name*", Run)
    lines += _section("tables.*name*", Table)
    lines += _section("sweeps.*name*", Sweep)
    lines += _section("landscapes.*name*", Landscape)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(reference(), end="")
