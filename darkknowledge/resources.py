"""What jobs ask for: memory and run time by the size of their data, more at every attempt.

The factors are of jobs that were measured (benchmark files of mini_aurora and the reference task:
2 h of training speech, graphs of 66 MB), with a margin of a third in memory and of five or more in
time, since a cluster's cores may be slower. A job that is killed for either goes again with twice
as much, and training goes on from its checkpoint.
"""

from collections.abc import Callable
from pathlib import Path

from darkknowledge.estimate import cache_bytes, count_pdfs, input_width, network_cost
from darkknowledge.study import Study

# MB of a process that has loaded torch, and of one that uses CUDA
PROCESS, CUDA_PROCESS = 1000, 3000
# hours of a set of which nothing is known yet
UNKNOWN_HOURS = 20.0
GRAPH_MB, ARPA_MB = 100.0, 10.0
MOST_MINUTES = 7 * 24 * 60


class Needs:
    """Resources of rules, as functions that Snakemake calls with wildcards and attempt.

    Sizes are those of the files, once they are there, and what the study says before.

    Parameters
    ----------
    study : Study
    results : path
        Its folder of results.
    """

    def __init__(self, study: Study, results: str | Path):
        self.study = study
        self.results = Path(results)
        self.kinds = study.cache_kinds
        self._hours: dict[str, tuple[int, float]] = {}

    def __call__(self, kind: str) -> dict[str, Callable]:
        """Return ``mem_mb`` and ``runtime`` of a kind of job.

        Parameters
        ----------
        kind : str
            A method of this class.

        Returns
        -------
        dict
            Functions of wildcards and attempt.
        """
        need = getattr(self, kind)

        def mem_mb(wildcards, attempt):
            return round(need(wildcards)[0] * 2 ** (attempt - 1))

        def runtime(wildcards, attempt):
            return min(MOST_MINUTES, round(need(wildcards)[1] * 2 ** (attempt - 1)))

        return {"mem_mb": mem_mb, "runtime": runtime}

    def hours(self, name: str) -> float:
        """Return the hours of speech of a set."""
        file = self.results / "data" / name / "utt2dur"
        try:
            changed = file.stat().st_mtime_ns
            if self._hours.get(name, (None, 0.0))[0] != changed:
                seconds = sum(float(line.split()[1]) for line in file.read_text().splitlines())
                self._hours[name] = changed, seconds / 3600
            return self._hours[name][1]
        except (OSError, ValueError, IndexError):
            return self.study.corpus.expected_hours.get(name, UNKNOWN_HOURS)

    def frames(self, name: str) -> float:
        """Return the frames of a set."""
        return self.hours(name) * 3_600_000 / self.study.features.frame_shift

    def size(self, path: str, otherwise: float) -> float:
        """Return the MB of a file of the results, or what is given while it is absent."""
        try:
            return (self.results / path).stat().st_size / 1e6
        except OSError:
            return otherwise

    def graph_size(self, wildcards) -> float:
        """Return the MB of the decoding graph of a system, or of a rule that has no system."""
        system = getattr(wildcards, "system", self.study.hmm.aligner)
        stage = system if system in self.study.hmm.stages else self.study.hmm.aligner
        return self.size(f"graph/{stage}/HCLG.fst", GRAPH_MB)

    # Each of the following returns MB of memory and minutes, on one core unless a GPU is used.

    def small(self, wildcards) -> tuple[float, float]:
        """Tables, figures, the report."""
        return PROCESS, 15

    def make_set(self, wildcards) -> tuple[float, float]:
        """Audio of a set: noise mixing and synthesis, at 10 times real time or faster."""
        return 1.5 * PROCESS, 15 + 6 * self.hours(wildcards.set)

    def make_language(self, wildcards) -> tuple[float, float]:
        """Lexicon and text."""
        return 1.5 * PROCESS, 30

    def features(self, wildcards) -> tuple[float, float]:
        """MFCC and filter banks, streamed; at 170 times real time and core."""
        return 1.5 * PROCESS, 15 + 2 * self.hours(wildcards.set)

    def gmm(self, wildcards) -> tuple[float, float]:
        """A stage of Gaussian mixtures, or an alignment: two processes that cache frames."""
        frames = min(self.frames("train"), 2 * self.study.hmm.cached_frames)
        return 2 * PROCESS + 2e-3 * frames, 20 + 10 * self.hours("train")

    def language_model(self, wildcards) -> tuple[float, float]:
        """The language model."""
        text = self.size("lang/lm_text.txt", ARPA_MB)
        return PROCESS + 150 * text, 15 + 2 * text

    def graph(self, wildcards) -> tuple[float, float]:
        """HCLG; determinisation needs about 100 MB for each MB of ARPA."""
        arpa = self.size("lang/lm.arpa", ARPA_MB)
        return PROCESS + 150 * arpa, 15 + 2 * arpa

    def decode(self, wildcards) -> tuple[float, float]:
        """Search of the test set, at three times real time or faster."""
        return PROCESS + 8 * self.graph_size(wildcards), 15 + 20 * self.hours("test")

    def tune(self, wildcards) -> tuple[float, float]:
        """Search of the dev set for each setting."""
        decoding = self.study.decoding
        settings = len(decoding.acoustic_scales) + len(decoding.word_penalties)
        settings += len(decoding.beams)
        memory = 2 * PROCESS + 10 * self.graph_size(wildcards)
        return memory, 15 + 20 * settings * self.hours("dev")

    def lattices(self, wildcards) -> tuple[float, float]:
        """Lattices of dev and test, at four times the search."""
        hours = self.hours("dev") + self.hours("test")
        return 2 * PROCESS + 10 * self.graph_size(wildcards), 30 + 60 * hours

    def training_lattices(self, wildcards) -> tuple[float, float]:
        """Competing paths of the training set, at 20 times real time."""
        hours = self.hours("train") + self.hours("dev")
        return 2 * PROCESS + 10 * self.graph_size(wildcards), 30 + 20 * hours

    def soft_targets(self, wildcards) -> tuple[float, float]:
        """A network's posteriors of the training set, streamed."""
        return CUDA_PROCESS, 15 + 3 * (self.hours("train") + self.hours("dev"))

    def speakers(self, wildcards) -> tuple[float, float]:
        """Adaptation to speakers of the test set, and their search."""
        return CUDA_PROCESS + 8 * self.graph_size(wildcards), 30 + 40 * self.hours("test")

    def landscape(self, wildcards) -> tuple[float, float]:
        """Losses and curvature of a network on a batch of frames, many points at a time."""
        return 2 * CUDA_PROCESS, 240

    def train(self, wildcards) -> tuple[float, float]:
        """A network: features and soft targets in memory; four times the GPU hours estimated."""
        study, run = self.study, wildcards.run
        frames = {name: self.frames(name) for name in ("train", "dev")}
        every = sum(frames.values())
        cost = network_cost(study, run, frames)
        pdfs = count_pdfs(study)
        width = input_width(study, study.networks[study.runs[run].network])
        memory = 5 * 4 * width * every + 20 * cost.weights
        if study.runs[run].teachers:
            kind = study.cache_name(run)
            caches = len(study.runs[run].teachers) * cache_bytes(self.kinds[kind], pdfs, every)
            memory += 1.2 * caches
        return CUDA_PROCESS + 1.3 * memory / 1e6, 60 + 4 * 60 * cost.gpu_hours
