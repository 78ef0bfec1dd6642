"""The models and the genome of a server, and the tasks that it computes with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args

from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import LETTERS
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.effect_kinds import Effect, describe_effect, effect_for
from danq.inference.mutagenesis.mutate import mutate
from danq.inference.prediction.predict import predict
from danq.inference.result import Result
from danq.inference.track_levels import Kind
from danq.inference.variants.allele_scores import SCORES, meaning, score_name
from danq.inference.variants.score import score_variants
from danq.models import Model
from danq.progress import Event, Stage, Watch, watch_progress
from danq.server.answers import Answer
from danq.server.jobs import Job
from danq.server.request_input import (
    ReferenceGenome,
    Task,
    file_input,
    is_file_text,
    typed_input,
)
from danq.server.settings import ServerSettings
from danq.server.variant_ids import read_ids
from danq.typing import Location

TASKS: tuple[Task, ...] = get_args(Task)
EFFECTS: tuple[Effect, ...] = get_args(Effect)


@dataclass(frozen=True)
class Predictor:
    """Loaded models with their genome.

    Attributes
    ----------
    ensemble
        The models.
    genome
        The genome.
    settings
        Limits.
    """

    ensemble: Ensemble
    genome: ReferenceGenome
    settings: ServerSettings

    @classmethod
    def of(cls, models: Sequence[Model], genome: Location, settings: ServerSettings) -> Predictor:
        """Check the models, and read the genome and the IDs.

        Raises
        ------
        InputError
            As the readers of the files do; when the models disagree.
        """
        ensemble = Ensemble.of(list(models))
        ensemble.check_measured()
        with Genome(genome) as file:
            packed = file.pack()
        ids = None if settings.ids is None else read_ids(settings.ids, packed)
        return cls(ensemble, ReferenceGenome(Path(genome), packed, ids), settings)

    def warm_up(self) -> None:
        """Run each task once, so that compiled code is ready before the first request."""
        sequence = "ACGT" * (self.ensemble.window // 4 + 1)
        models = list(self.ensemble.models)
        predict(models, sequence[: self.ensemble.window])
        mutate(models, sequence[: min(40, self.ensemble.window)])
        score_variants(models, [self._middle()], self.genome.packed)

    @property
    def examples(self) -> dict[str, str]:
        """A region and a variant of the genome, as a user types them."""
        contig, pos, ref, alt = self._middle()
        end = min(self.genome.packed.contigs[contig], pos + self.ensemble.bin - 1)
        return {"region": f"{contig}:{pos}-{end}", "variant": f"{contig}:{pos} {ref}>{alt}"}

    def _middle(self) -> tuple[str, int, str, str]:
        """A variant in the middle of the longest contig."""
        packed = self.genome.packed
        contig, length = max(packed.contigs.items(), key=lambda one: one[1])
        pos = length // 2 + 1
        base = LETTERS[packed.codes(contig, pos - 1, pos)[0]]
        return contig, pos, base, "C" if base == "A" else "A"

    def check(self, task: str, effect: str | None) -> Task:
        """The task of a request, if it is one and has such an effect.

        Raises
        ------
        InputError
            When it is none.
        """
        if task not in TASKS:
            raise InputError(f"task is '{task}'", remedy=f"Choose from {', '.join(TASKS)}")
        if effect is not None and task != "mutate":
            raise InputError(f"the task '{task}' has no effect to choose", remedy="Leave it out")
        if task == "mutate":
            effect_for(self.ensemble.kinds, effect)
        return task

    def typed(self, text: str, task: Task) -> Any:
        """The input of a typed text, or None if it is the content of a file."""
        return None if is_file_text(text) else typed_input(text, task, self.genome)

    def work(self, task: Task, source: Any, effect: str | None) -> Callable[[Job], Answer]:
        """What a job computes.

        Parameters
        ----------
        task
            The task.
        source
            Its input; a `pathlib.Path` is a file of a request, which the job reads first.
        effect
            Effect of a substitution; None for the default.
        """

        def compute(job: Job) -> Answer:
            given = source
            if isinstance(given, Path):
                given = file_input(given, task, self.genome, self.settings)
            with watch_progress(self._limited(job, task)):
                result = self._result(task, given, effect)
            job.size = result.values.size
            values = self._values(task, effect)
            return Answer(result, values, self._meanings(task, values))

        return compute

    def _result(self, task: Task, source: Any, effect: str | None) -> Result:
        models = list(self.ensemble.models)
        if task == "predict":
            return predict(models, source)
        if task == "variants":
            return score_variants(models, source, self.genome.packed)
        chosen = effect_for(self.ensemble.kinds, effect)
        return mutate(models, source, effect=chosen)

    def _values(self, task: Task, effect: str | None) -> str:
        kinds = self.ensemble.kinds
        if task == "mutate":
            return describe_effect(effect_for(kinds, effect), kinds)
        if set(kinds) == {"peaks"}:
            return "probability" if task == "predict" else "effects on probabilities"
        if set(kinds) == {"amounts"}:
            return "amount" if task == "predict" else "effects on amounts"
        return "probability or amount" if task == "predict" else "effects"

    def _meanings(self, task: Task, values: str) -> dict[str, str]:
        """What the values, or each score of variants, are."""
        ensemble = self.ensemble
        kinds: list[Kind] = [one for one in get_args(Kind) if one in ensemble.kinds]
        if task == "variants":
            found: dict[str, list[str]] = {}
            for score, kind in product(SCORES, kinds):
                text = meaning(score, kind)
                found.setdefault(score_name(score, kind), []).append(
                    f"of {kind}: {text}" if len(kinds) > 1 else text
                )
            return {name: "; ".join(texts) for name, texts in found.items()}
        if task == "mutate":
            return {values: values}
        bin = f"in the middle {ensemble.bin:,} bases of a window of {ensemble.window:,} bases"
        of = {"peaks": "probability of a peak", "amounts": "amount"}
        return {values: f"{' or '.join(of[kind] for kind in kinds)} {bin}"}

    def _limited(self, job: Job, task: Task) -> Watch:
        """Watches the progress of a job, and checks how much is computed."""
        settings = self.settings
        columns = len(self.ensemble.tracks) * (1 + self.ensemble.spread)
        most, noun, counted, each = settings.max_rows, "rows", "rows", columns
        if task == "variants":
            noun, counted, each = "variants", "variants", 6 * columns
        elif task == "mutate":
            # Progress counts substitutions; a base has an effect of each of four letters.
            most, noun, counted = settings.max_bases, "bases", "substitutions"
            each = 4 * columns
        most = min(most, max(1, settings.max_values // each))
        per_item = 3 if task == "mutate" else 1

        def watch(stage: Stage, event: Event) -> None:
            size = max(stage.done, stage.total or 0) / per_item
            if event != "step" or stage.unit != counted:
                return
            if size > most:
                raise InputError(
                    f"the input has more than {most:,} {noun}",
                    remedy="Give less, or use the command line",
                )
            job.progress(stage.done, stage.total)

        return watch
