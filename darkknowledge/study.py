"""The typed study: corpus, features, models, runs that teach runs, seeds and tables.

A study is a mapping, as YAML gives it. :func:`load_study` checks all of it at once and returns
a :class:`Study`; nothing heavy is imported, because every cluster job does this first.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from darkknowledge.corpora.options import KaldiOptions, LibrispeechOptions, SyntheticOptions
from darkknowledge.errors import cut
from darkknowledge.feature_options import FeatureOptions
from darkknowledge.graph.options import DecodingOptions, GraphOptions, LanguageModelOptions
from darkknowledge.hmm.options import STAGES, HmmOptions
from darkknowledge.landscapes.options import Landscape
from darkknowledge.networks.options import (
    FINETUNING,
    SEQUENCE,
    NetworkOptions,
    SequenceOptions,
    SoftTargetOptions,
    TargetOptions,
    TrainingOptions,
)
from darkknowledge.options import Options
from darkknowledge.papers import PAPERS

MOST_VALUES = 100_000
DEEPEST = 50
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

CorpusOptions = Annotated[
    SyntheticOptions | LibrispeechOptions | KaldiOptions, Field(discriminator="kind")
]


class StudyError(Exception):
    """A study that cannot be run; the message lists every mistake."""

    def __init__(self, message: str):
        super().__init__(cut(message))


class Run(TargetOptions):
    """A network trained on some targets; soft targets come from the teacher, another run."""

    network: str = Field(description="Name of an entry of `networks`.")
    teacher: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        description="Name of the run whose soft targets are learnt; each seed of this run "
        "learns from the same seed of the teacher. A list of names is an ensemble: the mean of "
        "their posteriors, each at the temperature, is learnt (1503.02531, section 5).",
    )
    label: str | None = Field(
        default=None, description="Name of the run in tables and figures; its key when absent."
    )
    speakers: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the training speakers whose speech the network learns from. A "
        "smaller share is part of a larger one. GMM and alignments stay those of all speakers; a "
        "teacher has its own share.",
    )
    training: dict[str, Any] = Field(
        default_factory=dict,
        description="Training options that differ from those of the network's entry.",
    )

    start: str | None = Field(
        default=None,
        description="Name of the run of the same network from whose weights this one starts, "
        "seed by seed; it needs it for `smbr` and `mmi`, whose lattices that run makes.",
    )
    adapt: bool = Field(
        default=False,
        description="Whether the network in `start` is adapted to each speaker of the test set, "
        "without being told what is said: on `hard` targets to what it recognises there itself "
        "(two decoding passes), on `soft` ones to the teacher's posteriors (one). `epochs` are as "
        "many as asked for, at a constant learning rate, as there is no cross-validation set "
        "(1608.00892, section 4.4; five epochs at 0.0002 per frame).",
    )
    soft_targets: dict[str, Any] = Field(
        default_factory=dict,
        description="Storage options of the soft targets of this run that differ from the "
        "section `soft_targets`; {most: 1} makes the teacher's best state its only one.",
    )

    @property
    def teachers(self) -> list[str]:
        """List the names of the teachers; there is none on hard targets."""
        return _names(self.teacher)

    @property
    def before(self) -> list[str]:
        """List the names of the runs that are trained before this one."""
        return [*self.teachers, *_names(self.start)]


class JobOptions(Options):
    """Jobs among which the speech of a set is divided, so that many nodes of a cluster share it.

    No part of the result, which is the same whatever the numbers.
    """

    features: int = Field(
        default=1, ge=1, description="Jobs that extract the features of a set, by speakers."
    )
    decoding: int = Field(
        default=1,
        ge=1,
        description="Jobs that recognise the test set with one system, by utterances; with a "
        "system that is adapted to speakers, by speakers.",
    )


class Table(Options):
    """Runs compared in one table."""

    runs: list[str] = Field(
        min_length=1,
        description="Names of runs, in the order of the rows; or of GMM stages "
        f"({', '.join(STAGES)}), which have no seeds.",
    )
    title: str = Field(default="", description="Caption; the table's key when absent.")
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Names that runs have in this table, where they differ from `label` of the "
        "run: two papers may call one run by two names.",
    )
    paper: str | None = Field(
        default=None,
        description="Table of a paper whose values stand beside ours, such as "
        "`1505.04630/table1`; rows are matched by their label.",
    )
    columns: list[
        Literal[
            "cv_loss",
            "multiply_adds",
            "float32_bytes",
            "int8_bytes",
            "network_rtf",
            "rtf",
            "cache_bytes",
            "cache_kl",
        ]
    ] = Field(
        default_factory=list,
        description="Columns besides accuracy and word error rate: cross-entropy with the "
        "alignment on the cross-validation set; multiply-adds per frame, and size with 4 bytes or "
        "1 byte per weight; processor seconds per second of audio of the acoustic scores, and of "
        "scores and search, as measured on one core; bytes per frame of the soft targets that are "
        "learnt, and their divergence from the dense ones.",
    )
    pairs: list[tuple[str, str]] = Field(
        default_factory=list,
        description="Pairs of runs or GMM stages whose difference in WER is tested, the second "
        "against the first; each of them counts where both stand in `runs`.",
    )

    @property
    def shows_speed(self) -> bool:
        """Whether a column has to be measured on the clock."""
        return bool({"network_rtf", "rtf"} & set(self.columns))

    @property
    def compared(self) -> list[tuple[str, str]]:
        """List the pairs whose runs both stand in the table."""
        return [pair for pair in self.pairs if set(pair) <= set(self.runs)]


class Sweep(Options):
    """A figure of word error rate and frame accuracy against an option of the runs."""

    x: Literal["temperature", "student_temperature", "alpha", "speakers"] = Field(
        description="The option of runs on the horizontal axis; `speakers` as hours of speech."
    )
    lines: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        min_length=1,
        description="By name, the runs of each line; a line has the colour of its first run.",
    )
    baseline: list[str] = Field(
        default_factory=list, description="Runs without the option, drawn as level lines."
    )
    title: str = Field(default="", description="Caption; the sweep's key when absent.")

    @property
    def runs(self) -> list[str]:
        """List all runs, each once."""
        members = (run for line in self.lines.values() for run in line)
        return list(dict.fromkeys([*self.baseline, *members]))


class Top(Options):
    """The top level of a study; the sections are checked one by one."""

    name: str = Field(description="Name of the study; its results stand in `results/<name>`.")
    data_root: str = Field(
        default="data", description="Folder that relative paths of a corpus start from."
    )
    corpus: str = Field(description="The entry of `corpora` that is used.")
    seeds: list[int] = Field(
        min_length=1, description="Seeds of network training; every run is trained once per seed."
    )
    corpora: dict[str, Any] = Field(description="Corpora by name; see the kinds below.")
    features: dict[str, Any] = Field(default_factory=dict, description="Feature extraction.")
    hmm: dict[str, Any] = Field(default_factory=dict, description="GMM-HMM training.")
    language_model: dict[str, Any] = Field(default_factory=dict, description="Language model.")
    graph: dict[str, Any] = Field(default_factory=dict, description="Decoding graph.")
    decoding: dict[str, Any] = Field(default_factory=dict, description="Decoding.")
    soft_targets: dict[str, Any] = Field(default_factory=dict, description="Soft-target caches.")
    jobs: dict[str, Any] = Field(
        default_factory=dict, description="Jobs among which the speech of a set is divided."
    )
    sequence: dict[str, Any] = Field(
        default_factory=dict, description="Lattices of sequence training."
    )
    training: dict[str, Any] = Field(
        default_factory=dict,
        description="Training options of all networks whose entries do not say otherwise.",
    )
    networks: dict[str, Any] = Field(description="Networks by name; see the kinds below.")
    runs: dict[str, Any] = Field(description="Runs by name.")
    tables: dict[str, Any] = Field(
        default_factory=dict, description="Tables by name: a list of runs, or a mapping."
    )
    sweeps: dict[str, Any] = Field(
        default_factory=dict, description="Figures by name: results against an option of the runs."
    )
    landscapes: dict[str, Any] = Field(
        default_factory=dict, description="Loss landscapes of trained networks by name."
    )


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes
    ----------
    name, corpus_name : str
    seeds : tuple of int
    corpus, network and other options : pydantic models
    runs, networks, tables : dict
    training : dict
        Complete training options of every run.
    stored : dict
        Complete storage options of the soft targets of every run.
    """

    name: str
    data_root: str
    seeds: tuple[int, ...]
    corpus_name: str
    corpus: BaseModel
    features: FeatureOptions
    hmm: HmmOptions
    language_model: LanguageModelOptions
    graph: GraphOptions
    decoding: DecodingOptions
    soft_targets: SoftTargetOptions
    sequence: SequenceOptions
    jobs: JobOptions
    networks: dict[str, BaseModel]
    runs: dict[str, Run]
    training: dict[str, TrainingOptions]
    stored: dict[str, SoftTargetOptions]
    tables: dict[str, Table]
    sweeps: dict[str, Sweep]
    landscapes: dict[str, Landscape]

    def corpus_options(self, language: bool = True) -> dict[str, Any]:
        """Return what a corpus is made from, in plain types, defaults left out.

        Without ``language``, those that only lexicon and language model depend on are left out:
        a larger vocabulary makes no audio anew.
        """
        options = plain(self.corpus)
        options.pop("hours", None)
        if not language:
            options = {k: v for k, v in options.items() if k not in self.corpus.LANGUAGE_ONLY}
        if "data_root" in type(self.corpus).model_fields:
            options["data_root"] = self.data_root
        return options

    def absent(self) -> list[str]:
        """Return what of the corpus is not on this machine, and what mends it."""
        problems = self.corpus.problems(Path(self.data_root))
        return [f"corpora.{self.corpus_name}: {problem}" for problem in problems]

    @property
    def arpa(self) -> str | None:
        """Path of a language model made elsewhere; None where it is estimated."""
        given = getattr(self.corpus, "arpa", None)
        return None if given is None else str(Path(self.data_root) / given)

    def given_features(self, set_name: str) -> dict[str, str]:
        """Return the indices of feature archives made elsewhere, by kind; mostly none."""
        found = {kind: getattr(self.corpus, kind, {}) for kind in ("mfcc", "fbank")}
        return {
            kind: str(Path(self.data_root) / scps[set_name]) for kind, scps in found.items() if scps
        }

    def input_kind(self, run: str) -> str:
        """Name the features that a run's network reads: `fbank` or `fmllr`.

        Raises
        ------
        StudyError
            If there is no such run.
        """
        if run not in self.runs:
            raise StudyError(f"{run}: no run of {self.name}{_nearest(run, self.runs)}")
        return self.networks[self.runs[run].network].input

    def run_options(self, run: str) -> dict[str, Any]:
        """Return what a run is trained with, in plain types, defaults left out.

        A new option with a default, or a new run, thus changes no run that exists.
        """
        spec = self.runs[run]
        targets = plain(spec)
        share = {"speakers": targets.pop("speakers")} if "speakers" in targets else {}
        for key in ("network", "teacher", "label", "start", "adapt", "training", "soft_targets"):
            targets.pop(key, None)
        network = plain(self.networks[spec.network])
        network.pop("training", None)
        return {
            "network": network,
            "targets": targets,
            "training": plain(self.training[run]),
            **share,
        }

    def summary(self) -> dict[str, Any]:
        """Return the whole study in plain types, defaults left out, for the report."""
        return {
            "name": self.name,
            "seeds": list(self.seeds),
            "corpus": self.corpus_name,
            self.corpus_name: plain(self.corpus),
            "features": plain(self.features),
            "hmm": plain(self.hmm),
            "language_model": plain(self.language_model),
            "graph": plain(self.graph),
            "decoding": plain(self.decoding),
            "soft_targets": plain(self.soft_targets),
            "sequence": plain(self.sequence),
            "networks": {name: plain(network) for name, network in self.networks.items()},
            "runs": {name: plain(run) for name, run in self.runs.items()},
            "tables": {name: table.runs for name, table in self.tables.items()},
            "sweeps": {name: sweep.lines for name, sweep in self.sweeps.items()},
            "landscapes": {name: plain(options) for name, options in self.landscapes.items()},
        }

    def network_runs(self, table: str) -> list[str]:
        """List the runs of a table that are trained once for all speakers; no GMM stages."""
        return [
            name
            for name in self.tables[table].runs
            if name in self.runs and not self.runs[name].adapt
        ]

    @property
    def trained_runs(self) -> list[str]:
        """List the runs that are trained before anything is recognised."""
        return [name for name in self.needed_runs if not self.runs[name].adapt]

    @property
    def table_runs(self) -> list[str]:
        """List the runs that stand in some table, in order, each once; GMM stages are none."""
        names = dict.fromkeys(name for table in self.tables.values() for name in table.runs)
        return [name for name in names if name in self.runs]

    @property
    def shown_runs(self) -> list[str]:
        """List the runs that stand in some table or sweep, those of tables first."""
        swept = (name for sweep in self.sweeps.values() for name in sweep.runs)
        return list(dict.fromkeys([*self.table_runs, *swept]))

    def teachers(self) -> list[str]:
        """List the runs that teach a run that is trained."""
        names = (teacher for run in self.needed_runs for teacher in self.runs[run].teachers)
        return list(dict.fromkeys(names))

    @property
    def reported_landscapes(self) -> dict[str, Landscape]:
        """Map the names of the landscapes that belong to the report to their options.

        Those of networks that no table shows do not, so that a study with fewer runs trains no
        more for them.
        """
        shown = set(self.shown_runs)
        chosen = (pair for pair in self.landscapes.items() if pair[1].report)
        return {name: options for name, options in chosen if shown.issuperset(options.needed_runs)}

    @property
    def _evaluated(self) -> list[str]:
        """List the runs whose objectives a reported landscape evaluates."""
        return [run for one in self.reported_landscapes.values() for run in one.objectives]

    def objective_labels(self, landscape: str) -> dict[str, str]:
        """Name the objectives of a landscape by their targets, and by their run if two are alike.

        Returns
        -------
        dict
            By run.
        """
        labels = {}
        for run in self.landscapes[landscape].objectives:
            spec = self.runs[run]
            kind = {"hard": "hard", "reg": "mixture"}.get(spec.targets, "soft")
            labels[run] = kind if kind == "hard" else f"{kind}, T = {spec.temperature:g}"
        twice = {label for label in labels.values() if list(labels.values()).count(label) > 1}
        return {
            run: f"{label} ({run})" if label in twice else label for run, label in labels.items()
        }

    @property
    def kept_runs(self) -> list[str]:
        """List the runs whose weights are kept after each epoch, for the path of a landscape."""
        return list(dict.fromkeys(run for one in self.landscapes.values() for run in one.path))

    @property
    def needed_runs(self) -> list[str]:
        """List the runs that are shown, and all that come before them."""
        taught = [name for run in self._evaluated for name in self.runs[run].teachers]
        found = dict.fromkeys([*self.shown_runs, *taught])
        waiting = list(found)
        while waiting:
            for run in self.runs[waiting.pop(0)].before:
                if run not in found:
                    found[run] = None
                    waiting.append(run)
        return list(found)

    @property
    def lattice_runs(self) -> list[str]:
        """List the runs that make lattices for the sequence training of another."""
        learnt = (self.runs[run] for run in self.trained_runs)
        return list(dict.fromkeys(run.start for run in learnt if run.targets in SEQUENCE))

    def first_phase(self, run: str) -> str | None:
        """Name the run whose training is the first phase of this one's, if the study shows one.

        A `pretrain` run then goes on from where its `soft` twin ended, with the same result.
        """
        if self.runs[run].targets != "pretrain":
            return None
        same = self._soft_phase(run)
        soft = (name for name in self.needed_runs if self.runs[name].targets == "soft")
        return next((name for name in soft if self._soft_phase(name) == same), None)

    def _soft_phase(self, run: str) -> tuple[Any, ...]:
        """Return all that decides what comes of learning from a run's soft targets."""
        spec = self.runs[run]
        return (
            spec.network,
            spec.teachers,
            spec.temperature,
            spec.student_temperature,
            spec.speakers,
            spec.start,
            self.stored[run],
            self.training[run].model_dump(exclude=set(FINETUNING)),
        )

    def cache_name(self, run: str) -> str:
        """Name the kind of cache that a run learns from: T, and how it is stored if otherwise."""
        stored = self.stored[run].model_dump()
        other = {k: v for k, v in stored.items() if v != getattr(self.soft_targets, k)}
        parts = [f"{key}{'all' if value is None else value}" for key, value in other.items()]
        return "-".join([f"T{self.runs[run].cache_temperature:g}", *parts])

    @property
    def cache_kinds(self) -> dict[str, tuple[float, SoftTargetOptions]]:
        """Map the names of all kinds of caches to temperature and storage."""
        return {
            self.cache_name(name): (run.cache_temperature, self.stored[name])
            for name, run in self.runs.items()
        }

    @property
    def caches(self) -> list[tuple[str, str]]:
        """List the teachers and kinds of the caches that are learnt from, each once."""
        pairs = (
            (teacher, self.cache_name(run))
            for run in [*self.trained_runs, *self._evaluated]
            for teacher in self.runs[run].teachers
        )
        return list(dict.fromkeys(pairs))


def _names(teacher: Any) -> list[Any]:
    """Return one name, several or none as a list."""
    if isinstance(teacher, list):
        return teacher
    return [] if teacher is None else [teacher]


def plain(options: BaseModel) -> dict[str, Any]:
    """Dump options as plain types without those that equal their default, sorted by key.

    The discriminating ``kind`` is always there.
    """
    dumped = options.model_dump(mode="json", exclude_defaults=True)
    if "kind" in type(options).model_fields:
        dumped["kind"] = options.kind
    return dict(sorted(dumped.items()))


def _nearest(word: str, known) -> str:
    matches = difflib.get_close_matches(word, [str(name) for name in known], n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _fields(model) -> list[str]:
    """List the keys that a model, or any member of a union of models, allows."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return [field for member in get_args(model) for field in _fields(member)]


def _kinds(model) -> list[str]:
    """List the kinds of a union that is told apart by its ``kind``."""
    members = [model, *(inner for member in get_args(model) for inner in get_args(member))]
    return [
        kind
        for member in members
        if isinstance(member, type) and "kind" in getattr(member, "model_fields", {})
        for kind in get_args(member.model_fields["kind"].annotation)
    ]


def _submodel(model, path: tuple):
    """Follow a pydantic error's place into the model whose keys are allowed there."""
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            if field is None:
                return None
            model = field.annotation
        else:
            inner = [m for outer in get_args(model) for m in (outer, *get_args(outer))]
            members = [m for m in inner if isinstance(m, type)]
            by_kind = [
                m
                for m in members
                if issubclass(m, BaseModel)
                and "kind" in m.model_fields
                and part in get_args(m.model_fields["kind"].annotation)
            ]
            if by_kind:
                model = by_kind[0]
        candidates = [
            m for m in get_args(model) if isinstance(m, type) and issubclass(m, BaseModel)
        ]
        if len(candidates) == 1:
            model = candidates[0]
    return model


class _Checker:
    """Collects the mistakes of a study."""

    def __init__(self):
        self.problems: list[str] = []

    def add(self, path: str, text: str) -> None:
        self.problems.append(f"{path}: {text}")

    def validate(self, model, value: Any, path: str):
        """Validate a section; return it, or None after noting every mistake in it."""
        try:
            return TypeAdapter(model).validate_python(value)
        except ValidationError as error:
            kinds = set(_kinds(model))
            for item in error.errors(include_url=False):
                place = item["loc"]
                shown = ".".join(
                    [path, *(str(p) for i, p in enumerate(place) if not (i == 0 and p in kinds))]
                ).strip(".")
                if item["type"] == "extra_forbidden":
                    allowed = _fields(_submodel(model, place[:-1]) or model)
                    self.add(
                        shown,
                        f"unknown key{_nearest(str(place[-1]), allowed)} "
                        f"(allowed: {', '.join(dict.fromkeys(allowed))})",
                    )
                elif item["type"] == "missing":
                    self.add(shown, "missing; this key is required")
                else:
                    self.add(shown, f"{item['input']!r}; {item['msg']}")
            return None

    def named(self, path: str, name: Any, known, what: str) -> bool:
        """Note a name that is not known."""
        if isinstance(name, str) and name in known:
            return True
        self.add(
            path, f"no {what} {name!r}{_nearest(str(name), known)} (known: {', '.join(known)})"
        )
        return False


def _drop_nulls(section: Any) -> Any:
    """Leave out entries that an overlaid study has set to null."""
    if isinstance(section, Mapping):
        return {key: value for key, value in section.items() if value is not None}
    return section


def _mapping(checker: _Checker, config: Mapping, key: str) -> dict:
    value = config.get(key) or {}
    if not isinstance(value, Mapping):
        checker.add(key, f"{value!r}; expected a mapping of names")
        return {}
    for name in value:
        if not NAME.fullmatch(str(name)):
            checker.add(
                f"{key}.{name}", "not a name; use letters, digits, '-' and '_' (it is in paths)"
            )
    return _drop_nulls(dict(value))


def _check_network(checker: _Checker, name: str, value: Any, common: dict) -> NetworkOptions | None:
    """Check the entry of a network; training options that it does not say are the common ones."""
    network = checker.validate(NetworkOptions, value, f"networks.{name}")
    if network is None:
        return None
    options = {**common, **network.training.model_dump(exclude_unset=True)}
    training = checker.validate(TrainingOptions, options, f"networks.{name}.training")
    return network.model_copy(update={"training": training}) if training else network


def _check_cycles(checker: _Checker, runs: dict[str, Run]) -> None:
    done: set[str] = set()

    def follow(name: str, chain: list[str]) -> None:
        if name in chain:
            names = " -> ".join([*chain[chain.index(name) :], name])
            checker.add(f"runs.{name}.teacher", f"a cycle of teachers and starts: {names}")
        elif name in runs and name not in done:
            for run in runs[name].before:
                follow(run, [*chain, name])
            done.add(name)

    for start in runs:
        follow(start, [])


def _check_run(checker: _Checker, name: str, value: Any, networks: Mapping, names) -> Run | None:
    path = f"runs.{name}"
    if isinstance(value, Mapping):
        if "network" in value:
            checker.named(f"{path}.network", value["network"], networks, "network")
        teacher = value.get("teacher")
        teachers = _names(teacher)
        for one in teachers:
            if isinstance(one, str):
                checker.named(f"{path}.teacher", one, names, "run")
        if len(set(map(str, teachers))) < len(teachers):
            checker.add(f"{path}.teacher", f"{teachers}; each teacher may stand there once")
        targets = value.get("targets", "hard")
        if value.get("adapt") and (targets not in ("hard", "soft") or "start" not in value):
            checker.add(
                f"{path}.adapt",
                f"needs `start` and targets 'hard' or 'soft'; here are targets {targets!r} and "
                f"start {value.get('start')!r}",
            )
        if targets == "hard" and teacher is not None:
            checker.add(f"{path}.teacher", "a run on hard targets has no teacher; remove the key")
        if targets not in ("hard", *SEQUENCE) and teacher is None:
            checker.add(
                f"{path}.teacher", f"missing; targets '{targets}' are learnt from a teacher"
            )
        if targets in SEQUENCE and value.get("start") is None:
            checker.add(
                f"{path}.start", f"missing; targets '{targets}' need a run that makes the lattices"
            )
        if targets in ("hard", "logits") and value.get("soft_targets"):
            checker.add(f"{path}.soft_targets", f"no effect on targets '{targets}'; remove the key")
    return checker.validate(Run, value, path)


def _check_initialisation(
    checker: _Checker, name: str, training: TrainingOptions, network: NetworkOptions
) -> None:
    how, path = training.initialisation, f"runs.{name}.training.initialisation"
    if how != "random" and network.kind != "dnn":
        checker.add(path, f"'{how}'; a network of kind {network.kind} starts 'random'")
    elif how == "rbm" and network.activation != "sigmoid":
        checker.add(path, f"'rbm' is for sigmoid units; this network's are {network.activation}")


def _check_chunks(
    checker: _Checker, name: str, training: TrainingOptions, network: NetworkOptions
) -> None:
    if network.kind == "blstm" and "frames" in training.model_fields_set and training.frames:
        checker.add(
            f"runs.{name}.training.frames",
            f"{training.frames}; a network of kind blstm reads whole utterances: remove it",
        )


def _check_start(checker: _Checker, name: str, runs: Mapping[str, Run]) -> None:
    run = runs[name]
    if run.start is None or not checker.named(f"runs.{name}.start", run.start, runs, "run"):
        return
    if runs[run.start].adapt:
        checker.add(f"runs.{name}.start", f"{run.start!r} is adapted to each speaker; name another")
    network = runs[run.start].network
    if network != run.network:
        checker.add(
            f"runs.{name}.start",
            f"{run.start!r} has the network {network!r}, this run {run.network!r}: give both one",
        )


def _check_adapted(checker: _Checker, name: str, runs: Mapping[str, Run]) -> None:
    for teacher in runs[name].teachers:
        if teacher in runs and runs[teacher].adapt:
            checker.add(
                f"runs.{name}.teacher", f"{teacher!r} is adapted to each speaker; name another"
            )
    if runs[name].adapt and runs[name].speakers != 1:
        checker.add(f"runs.{name}.speakers", "no effect on a run that is adapted; remove the key")


def _check_update(
    checker: _Checker, name: str, training: TrainingOptions, network: NetworkOptions
) -> None:
    if training.update != "all" and network.kind != "highway":
        checker.add(
            f"runs.{name}.training.update",
            f"'{training.update}'; a network of kind {network.kind} has no gates",
        )


def _check_pairs(checker: _Checker, path: str, pairs: list[tuple[str, str]], known) -> None:
    seen: set[frozenset] = set()
    for index, pair in enumerate(pairs):
        for place, run in enumerate(pair):
            checker.named(f"{path}.{index}.{place}", run, known, "run or GMM stage")
        if frozenset(pair) in seen or pair[0] == pair[1]:
            checker.add(f"{path}.{index}", f"{list(pair)}; each pair of two runs may stand once")
        seen.add(frozenset(pair))


def _check_sweep(
    checker: _Checker, name: str, value: Any, names: Mapping, runs: dict[str, Run]
) -> Sweep | None:
    path = f"sweeps.{name}"
    sweep = checker.validate(Sweep, value, path)
    if sweep is None:
        return None
    for run in sweep.baseline:
        checker.named(f"{path}.baseline", run, names, "run")
    for line, members in sweep.lines.items():
        for run in members:
            if not checker.named(f"{path}.lines.{line}", run, names, "run") or run not in runs:
                continue
            targets = runs[run].targets
            has = {"speakers": True, "alpha": targets == "reg"}.get(sweep.x, targets != "hard")
            if not has:
                checker.add(
                    f"{path}.lines.{line}",
                    f"{sweep.x} has no effect on {run}, of targets '{targets}'; make it a baseline",
                )
    return sweep


def _check_size(config: Mapping[str, Any]) -> None:
    """Refuse what YAML's anchors let grow without bound, and keys that are no words."""
    waiting: list[tuple[str, Any]] = [("", config)]
    count = 0
    while waiting:
        path, value = waiting.pop()
        count += 1
        if count > MOST_VALUES or path.count(".") > DEEPEST:
            raise StudyError(
                f"{cut(path)}: the study has more than {MOST_VALUES} values, or more than "
                f"{DEEPEST} levels; write it without anchors inside anchors"
            )
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise StudyError(f"{path or 'the study'}: key {key!r}; expected a word")
            waiting += [(f"{path}.{key}".lstrip("."), part) for key, part in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}.{place}", part) for place, part in enumerate(value)]


def _check_landscape(
    checker: _Checker, name: str, value: Any, runs: dict[str, Run]
) -> Landscape | None:
    path = f"landscapes.{name}"
    options = checker.validate(Landscape, value, path)
    if options is None:
        return None
    looked_at = {"runs": options.runs, "line": options.line or (), "path": options.path}
    for key, members in {**looked_at, "objectives": options.objectives}.items():
        if len(set(members)) < len(members):
            checker.add(f"{path}.{key}", f"{list(members)}; each run may stand there once")
        for run in members:
            if not checker.named(f"{path}.{key}", run, runs, "run"):
                return None
    for key, members in looked_at.items():
        for run in members:
            if runs[run].adapt:
                checker.add(f"{path}.{key}", f"{run!r} is adapted to each speaker; name another")
    for run in options.objectives:
        if runs[run].targets not in ("hard", "soft", "reg"):
            checker.add(
                f"{path}.objectives",
                f"{run!r} has targets '{runs[run].targets}'; name runs on 'hard', 'soft' or 'reg'",
            )
    for key in ("line", "path"):
        alike = {(runs[run].network, runs[run].speakers) for run in looked_at[key]}
        if len(alike) > 1:
            checker.add(
                f"{path}.{key}",
                f"{list(looked_at[key])} have not all the same `network` and `speakers`; name "
                "runs that have",
            )
    return options


def load_study(config: Mapping[str, Any]) -> Study:
    """Check a study and give it types.

    Parameters
    ----------
    config : mapping
        The study as YAML gives it, overlaid studies merged in. An entry of `corpora`,
        `networks`, `runs`, `tables`, `sweeps` or `landscapes` that is null is left out.

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        With every mistake: path of the key, value, what is allowed, the nearest known name.
        Whether the corpus is there is asked by `Study.absent`.
    """
    _check_size(config)
    checker = _Checker()
    top = dict(config)
    checker.validate(Top, top, "")

    name = str(top.get("name", ""))
    if not NAME.fullmatch(name):
        checker.add("name", f"{name!r}; use letters, digits, '-' and '_' (it is in paths)")
    seeds = top.get("seeds")
    if isinstance(seeds, list) and len(set(map(str, seeds))) < len(seeds):
        checker.add("seeds", f"{seeds}; each seed may stand there once")

    corpora = _mapping(checker, top, "corpora")
    networks = _mapping(checker, top, "networks")
    runs = _mapping(checker, top, "runs")
    tables = _mapping(checker, top, "tables")
    sweeps = _mapping(checker, top, "sweeps")
    landscapes = _mapping(checker, top, "landscapes")

    corpus = None
    corpus_name = top.get("corpus")
    typed_corpora = {
        key: checker.validate(CorpusOptions, value, f"corpora.{key}")
        for key, value in corpora.items()
    }
    if corpus_name is not None and checker.named("corpus", corpus_name, corpora, "corpus"):
        corpus = typed_corpora[corpus_name]

    sections = {
        key: checker.validate(model, _drop_nulls(top.get(key) or {}), key)
        for key, model in {
            "features": FeatureOptions,
            "hmm": HmmOptions,
            "language_model": LanguageModelOptions,
            "graph": GraphOptions,
            "decoding": DecodingOptions,
            "soft_targets": SoftTargetOptions,
            "sequence": SequenceOptions,
            "jobs": JobOptions,
        }.items()
    }
    common = checker.validate(TrainingOptions, _drop_nulls(top.get("training") or {}), "training")
    common = common.model_dump(exclude_unset=True) if common else {}
    typed_networks = {
        key: _check_network(checker, key, value, common) for key, value in networks.items()
    }
    stages = sections["hmm"].stages if sections["hmm"] else STAGES
    for key, network in typed_networks.items():
        if network is not None and network.input == "fmllr" and "tri3b" not in stages:
            checker.add(
                f"networks.{key}.input",
                "'fmllr' is made by the stage tri3b; set hmm.stages to [mono, tri1, tri2b, tri3b]",
            )
    typed_runs: dict[str, Run] = {}
    training: dict[str, TrainingOptions] = {}
    stored: dict[str, SoftTargetOptions] = {}
    for key, value in runs.items():
        if key in STAGES:
            checker.add(f"runs.{key}", "the name of a GMM stage; choose another")
        run = _check_run(checker, key, value, networks, runs)
        if run is None:
            continue
        typed_runs[key] = run
        if sections["soft_targets"] is not None:
            base = sections["soft_targets"].model_dump()
            place = f"runs.{key}.soft_targets"
            storage = checker.validate(SoftTargetOptions, {**base, **run.soft_targets}, place)
            if storage is not None:
                stored[key] = storage
        network = typed_networks.get(run.network)
        if network is not None:
            base = network.training.model_dump(exclude_unset=True)
            merged = checker.validate(
                TrainingOptions, {**base, **run.training}, f"runs.{key}.training"
            )
            if merged is not None:
                training[key] = merged
                _check_initialisation(checker, key, merged, network)
                _check_chunks(checker, key, merged, network)
                _check_update(checker, key, merged, network)
    if not runs:
        checker.add("runs", "empty; a study trains at least one run")
    for key in typed_runs:
        _check_start(checker, key, typed_runs)
        _check_adapted(checker, key, typed_runs)
    _check_cycles(checker, typed_runs)

    typed_tables: dict[str, Table] = {}
    for key, value in tables.items():
        table = checker.validate(
            Table, {"runs": value} if isinstance(value, list) else value, f"tables.{key}"
        )
        if key == "gmm":
            checker.add("tables.gmm", "taken by the table of the Gaussian mixtures; choose another")
        if table is not None:
            typed_tables[key] = table
            if table.paper is not None:
                checker.named(f"tables.{key}.paper", table.paper, PAPERS, "table of a paper")
            known = [*runs, *stages]
            for index, run in enumerate(table.runs):
                checker.named(f"tables.{key}.{index}", run, known, "run or GMM stage")
            left_out = [run for run in top.get("runs") or {} if run not in runs]
            _check_pairs(checker, f"tables.{key}.pairs", table.pairs, [*known, *left_out])
            for run in table.labels:
                checker.named(f"tables.{key}.labels.{run}", run, table.runs, "run of this table")

    typed_sweeps = {
        key: _check_sweep(checker, key, value, runs, typed_runs) for key, value in sweeps.items()
    }

    for key in landscapes:
        if key in tables:
            checker.add(f"landscapes.{key}", "the name of a table; choose another")
    typed_landscapes = {
        key: _check_landscape(checker, key, value, typed_runs) for key, value in landscapes.items()
    }

    if checker.problems:
        count = len(checker.problems)
        title = "1 mistake" if count == 1 else f"{count} mistakes"
        lines = "\n".join(f"  {problem}" for problem in checker.problems)
        raise StudyError(f"{title} in the study {name!r}:\n{lines}")

    return Study(
        name=name,
        data_root=str(top.get("data_root", "data")),
        seeds=tuple(seeds),
        corpus_name=corpus_name,
        corpus=corpus,
        networks=typed_networks,
        runs=typed_runs,
        training=training,
        stored=stored,
        tables=typed_tables,
        sweeps=typed_sweeps,
        landscapes=typed_landscapes,
        **sections,
    )
