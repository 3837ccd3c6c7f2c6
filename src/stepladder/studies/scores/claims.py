"""A budget of claims: for whoever proposes one change after another, and keeps what is judged to help.

A program that tries a thousand changes, each judged at 5 %, keeps fifty that do nothing. LOND (Javanmard and Montanari,
"Online rules for control of false discovery rate and false discovery exceedance", Annals of Statistics 2018, section 1)
judges the t-th proposal at α_t = β_t (D + 1), where D proposals were accepted before and all β add up to α. As long as
nothing was accepted, the levels add up to no more than α, whatever depends on what: of such programs whose proposals
all do nothing, no more than a share α ever accepts any. Where some do something, the expected share of accepted ones
that do nothing stays below α, for proposals that are independent of one another.

β_t = α (1 / log₂(t + 1) - 1 / log₂(t + 2)) adds up to α, and falls hardly faster than 1/t: the hundredth proposal still
has a twentieth of a percent of α.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepladder.errors import StorageError, StudyError
from stepladder.files import read_json, replace_json

#: Scores by variant and by seed, as text, so that they are compared as they were written.
Judged = Mapping[str, Mapping[str, float | None]]


class Claim(BaseModel):
    """One proposal: the level that it was judged at, whether it was accepted, and the scores that it was judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    alpha: Annotated[float, Field(gt=0, le=0.5)]
    accepted: bool
    scores: dict[str, dict[str, float | None]]


class _Budget(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    alpha: Annotated[float, Field(gt=0, le=0.5)]
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True)
class Budget:
    """What a program may claim in all, and what it has claimed so far.

    Attributes:
        alpha: share of wrong claims that is allowed, above 0 and at most 0.5.
        claims: in the order in which they were first judged.
    """

    alpha: float = 0.05
    claims: tuple[Claim, ...] = ()

    @property
    def accepted(self) -> int:
        """How many proposals were accepted."""
        return sum(claim.accepted for claim in self.claims)

    def level(self, name: str | None = None) -> float:
        """Return the level of the proposal called ``name``: its own where it was judged before, else the next one.

        >>> round(Budget(0.05).level(), 6)
        0.018454
        """
        for claim in self.claims:
            if claim.name == name:
                return claim.alpha
        return min(0.5, lond_level(len(self.claims) + 1, self.accepted, self.alpha))

    def check(self, name: str, scores: Judged) -> None:
        """Refuse other scores under the name of an earlier proposal: only runs may be added to it.

        Raises:
            StudyError: a score that it was judged by is gone, or is another one now.
        """
        for claim in self.claims:
            if claim.name != name:
                continue
            for variant, seeds in claim.scores.items():
                for seed, value in seeds.items():
                    if scores.get(variant, {}).get(seed, math.nan) != value:
                        raise StudyError(
                            f"the proposal {name} was judged by another score of {variant}, seed {seed}; a change of "
                            "the program is a new proposal: give it a `proposal` name of its own"
                        )

    def with_claim(self, name: str, accepted: bool, scores: Judged) -> Budget:
        """Return the budget after a proposal was judged; judged again with more seeds, it keeps its place and level."""
        new = Claim(
            name=name, alpha=self.level(name), accepted=accepted, scores={k: dict(v) for k, v in scores.items()}
        )
        if any(claim.name == name for claim in self.claims):
            return replace(self, claims=tuple(new if claim.name == name else claim for claim in self.claims))
        return replace(self, claims=(*self.claims, new))


def lond_level(number: int, accepted: int, alpha: float) -> float:
    """Return the level of a proposal.

    Args:
        number: of the proposal, from 1.
        accepted: proposals that were accepted before.
        alpha: share of wrong claims that is allowed.
    """
    if number < 1:
        raise ValueError(f"proposals are counted from 1, not {number}")
    return alpha * (1 / math.log2(number + 1) - 1 / math.log2(number + 2)) * (accepted + 1)


def read_budget(path: Path, alpha: float) -> Budget:
    """Return the budget in a file; a new one where there is none.

    Raises:
        StorageError: the file is damaged.
        StudyError: it was begun with another ``alpha``.
    """
    if not path.exists():
        return Budget(alpha)
    document: Any = read_json(path)
    try:
        found = _Budget.model_validate(document)
    except ValidationError as error:
        raise StorageError(f"{path} is no budget of claims ({error.errors()[0]['msg']}); name another file") from error
    if found.alpha != alpha:
        raise StudyError(f"{path} was begun with `alpha` {found.alpha:g}, and it is {alpha:g} now; keep the first")
    return Budget(found.alpha, found.claims)


def write_budget(path: Path, budget: Budget) -> None:
    """Replace the file of a budget."""
    replace_json(path, _Budget(alpha=budget.alpha, claims=budget.claims).model_dump(mode="json"))
