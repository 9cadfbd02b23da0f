"""Networks adapted to speakers without transcripts (1608.00892, section 4.4).

The states that a network learns for a speaker are those of what it recognises itself, or the
posteriors of a teacher; then it recognises the speaker's utterances.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darkknowledge.adaptation import complete_paths, tuned_decoder
from darkknowledge.batches import gather_frames
from darkknowledge.checkpoints import load_network
from darkknowledge.decoding import Graph, Hypothesis, decode_set
from darkknowledge.errors import DivergenceError
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.options import SoftTargetOptions, TargetOptions, TrainingOptions
from darkknowledge.networks.registry import stream_log_posteriors
from darkknowledge.progress import logger
from darkknowledge.soft_targets import open_cache, write_soft_targets
from darkknowledge.targets import objectives
from darkknowledge.training import DIVERGED, TeacherTargets, Trainer

Features = Mapping[str, np.ndarray]
# nats that a loss near nought may rise
SLACK = 0.01


@dataclass
class SpeakerAdaptation:
    """How networks are adapted.

    Attributes
    ----------
    run : str
        Name in log lines and messages.
    model : path
        The network of all speakers.
    graph : Graph
    tuning : mapping
        Scales, penalty and beams that dev chose for that network.
    options : mapping
        ``targets`` and ``training``, as the study resolves them.
    seed : int
        Of the order of the data.
    teachers : sequence of path
        Models whose mean posteriors are learnt, on targets `soft`.
    stored : SoftTargetOptions
        How their posteriors are stored.
    device : torch.device or str
        Where networks are evaluated and adapted.
    """

    run: str
    model: str | Path
    graph: Graph
    tuning: Mapping[str, Any]
    options: Mapping[str, Any]
    seed: int
    teachers: Sequence[str | Path] = ()
    stored: SoftTargetOptions = field(default_factory=SoftTargetOptions)
    device: torch.device | str = "cpu"

    def recognise(
        self, speaker: str, features: Features, seen: Sequence[Features] = ()
    ) -> dict[str, Hypothesis]:
        """Adapt the network to a speaker and recognise his utterances.

        Parameters
        ----------
        speaker : str
            Name in log lines and messages.
        features : mapping
            (N, D) by utterance of the speaker.
        seen : sequence of mapping
            What each teacher reads of the same utterances.

        Returns
        -------
        dict
            Hypotheses by utterance. Those of the network of all speakers, where the network
            recognises nothing to learn from.

        Raises
        ------
        DivergenceError
            If the training diverges.
        """
        network, log_priors, _ = load_network(self.model)
        offset = self.tuning["prior_scale"] * log_priors.numpy()
        decoder = tuned_decoder(self.graph, self.tuning)

        def decode() -> dict[str, Hypothesis]:
            scores = stream_log_posteriors(network, features)
            return decode_set(((u, array - offset) for u, array in scores), decoder)

        network.to(self.device)
        if self.teachers:
            states = {u: np.zeros(len(array), np.int32) for u, array in features.items()}
        else:
            found = decode()
            states = complete_paths(found)
            if not states:
                logger.info("%s: nothing recognised to adapt to", speaker)
                return found
        with tempfile.TemporaryDirectory() as folder:
            caches = [
                self._cache(Path(folder) / f"{number}.soft", teacher, given)
                for number, (teacher, given) in enumerate(zip(self.teachers, seen, strict=True))
            ]
            own = {u: features[u] for u in states}
            self._train(network, speaker, own, states, caches)
        return decode()

    def _cache(self, path: Path, model: str | Path, given: Features) -> Path:
        teacher = load_network(model)[0]
        teacher.to(self.device)
        scores = stream_log_posteriors(teacher, given)
        temperature = TargetOptions(**self.options["targets"]).cache_temperature
        write_soft_targets(path, scores, temperature, {"run": str(model)}, self.stored)
        return path

    def _train(
        self,
        network: AcousticNetwork,
        speaker: str,
        features: Features,
        states: Mapping[str, np.ndarray],
        caches: Sequence[Path],
    ) -> None:
        targets = TargetOptions(**self.options["targets"])
        training = TrainingOptions(**self.options["training"])
        (objective,) = objectives(targets)
        frames = gather_frames(f"speaker {speaker}", features, states, network.num_pdfs)
        opened = [open_cache(path, targets.cache_temperature, network.num_pdfs) for path in caches]
        teacher = TeacherTargets(opened, frames) if opened else None
        frames = frames.to(next(network.parameters()).device)
        pair = (teacher, teacher)
        trainer = Trainer(self.run, network, training, frames, frames, pair, self.seed)
        before = trainer.cross_validate(objective).mean_loss
        network.train()
        for epoch in range(1, training.epochs + 1):
            trainer.epoch(objective, 0, epoch, training.learning_rate)
        network.eval()
        after = trainer.cross_validate(objective).mean_loss
        if not after <= DIVERGED * before + SLACK:
            raise DivergenceError(
                f"{self.run} seed {self.seed}, speaker {speaker}: the loss rises from {before:.4g} "
                f"to {after:.4g} at learning rate {training.learning_rate:.3g}; lower it"
            )
        logger.info(
            "%s seed %d, speaker %s: %d frames, loss %.3f -> %.3f",
            self.run,
            self.seed,
            speaker,
            len(frames),
            before,
            after,
        )
