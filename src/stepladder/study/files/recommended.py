"""The one model of a study whose mistakes are looked at: chosen by validation alone, or not chosen and said so."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from stepladder.study.files.records import SavedStudy, SavedTrial


@dataclass(frozen=True)
class ShownModel:
    """A trial whose model stands for the study, and how it was found.

    Attributes:
        recommended: whether validation chose it; else it is shown as the last rung's and recommended by nothing.
        why: what a reader needs to know of that, in sentences.
    """

    trial: SavedTrial
    recommended: bool
    why: str

    @property
    def label(self) -> str:
        """What it is called."""
        return f"{self.trial.rung}, seed {self.trial.seed}"


def find_shown_model(study: SavedStudy) -> ShownModel | None:
    """Return the model to look at; None where no trial has finished.

    The rung with the highest mean validation accuracy among those without a failed trial, the lower one where two tie,
    and of its seeds the best on validation; the test images choose nothing. Without validation images nothing may
    choose, so it is the first seed of the highest rung that has finished.
    """
    finished = [trial for trial in study.trials if trial.result.status == "finished"]
    if not finished:
        return None
    rungs = [rung.name for rung in study.record.rungs]
    known = {name: [trial for trial in finished if trial.rung == name] for name in rungs}
    scores: dict[str, float] = {}
    for name, trials in known.items():
        values = [trial.result.val_accuracy for trial in trials if trial.result.val_accuracy is not None]
        if values and len(values) == len(trials) == len(study.of_rung(name)):
            scores[name] = fmean(values)
    if not scores:
        name = next(name for name in reversed(rungs) if known[name])
        trial = known[name][0]
        return ShownModel(trial, False, _WHY_NOT[study.record.validation == 0])
    best = max(scores, key=scores.__getitem__)  # the first of equals, which is the lower rung
    trial = max(known[best], key=lambda each: each.result.val_accuracy or 0.0)
    tied = [name for name in scores if name != best and scores[name] == scores[best]]
    seeds = f"; of its {len(known[best])} seeds, this one is the best on validation" if len(known[best]) > 1 else ""
    why = f"Its rung has the highest validation accuracy{seeds}."
    if tied:
        why += (
            f" {' and '.join(tied)} {'has' if len(tied) == 1 else 'have'} as much; of equals the lowest rung is taken."
        )
    return ShownModel(trial, True, why)


_WHY_NOT = {
    True: "It is the highest rung's first seed and no recommendation: without validation images nothing may choose.",
    False: "It is the highest rung's first seed and no recommendation: in every rung a trial failed.",
}
