"""The optimizer of a recipe as plain values: how a gradient becomes a step."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from stepladder.errors import RecipeError, unknown

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Share = Annotated[float, Field(ge=0, lt=1, strict=True)]

#: What each optimizer can be told, with defaults: torch's, but for the rates of sgd and of muon (Jordan's 0.02).
OPTIMIZERS: Mapping[str, Mapping[str, float | None]] = MappingProxyType(
    {
        "sgd": {"lr": 0.1, "momentum": 0.0, "nesterov": None},
        "adam": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999},
        "adamw": {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999},
        "rmsprop": {"lr": 1e-3, "momentum": 0.0, "alpha": 0.99},
        "muon": {"lr": 0.02, "momentum": 0.95, "nesterov": True, "adamw_lr": 1e-3},
    }
)


class Optimizer(BaseModel):
    """How a gradient becomes a step. Settings that another optimizer has are None and left out of files.

    Weight decay is no setting of these: it is a technique.

    Attributes:
        name: one of :data:`OPTIMIZERS`, all of them torch's: stochastic gradient descent; Adam (Kingma and Ba 2015),
            and AdamW (Loshchilov and Hutter 2019), which is the same while no weights decay; RMSprop (Tieleman and
            Hinton 2012); Muon (Jordan et al. 2024) for the hidden weights beside AdamW for the rest.
        lr: learning rate at the start, above 0.
        momentum: share of the last step kept, from 0 to below 1.
        nesterov: look ahead by the momentum before taking the gradient (Sutskever et al. 2013, section 2).
        beta1: decay of the mean gradient. beta2: decay of the mean square.
        alpha: rmsprop's decay of the mean square.
        adamw_lr: muon's rate for what is no hidden weight, scheduled along with ``lr``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["sgd", "adam", "adamw", "rmsprop", "muon"] = "sgd"
    lr: Rate
    momentum: Share | None = None
    nesterov: bool | None = None
    beta1: Share | None = None
    beta2: Share | None = None
    alpha: Share | None = None
    adamw_lr: Rate | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, table: Any) -> Any:
        if not isinstance(table, Mapping):
            return table
        name = table.get("name", "sgd")
        if not isinstance(name, str):
            return table
        if name not in OPTIMIZERS:
            lacking = "; torch has no Lion" if name == "lion" else ""
            raise RecipeError(f"{unknown('optimizer', name, OPTIMIZERS)}{lacking}")
        for key in table:
            if key in cls.model_fields and key != "name" and key not in OPTIMIZERS[name]:
                owners = [owner for owner, settings in OPTIMIZERS.items() if key in settings]
                raise RecipeError(
                    f"optimizer.{key} is a setting of {' and '.join(owners)}, and the optimizer is {name}; remove it. "
                    f"{name} has: {', '.join(OPTIMIZERS[name])}"
                )
        return {**OPTIMIZERS[name], **{key: value for key, value in table.items() if value is not None}}

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Optimizer:
        if self.nesterov and not self.momentum:
            raise RecipeError(
                "optimizer.nesterov is true and optimizer.momentum is 0, so there is nothing to look ahead by; set "
                "optimizer.momentum, 0.9 say"
            )
        return self

    @model_serializer(mode="wrap")
    def _leave_out_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


def change_optimizer(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings`` with ``changes``; another optimizer starts from its own defaults, its learning rate's too."""
    same = changes.get("name", settings.get("name", "sgd")) == settings.get("name", "sgd")
    return {**(settings if same else {}), **changes}
