"""SGD, Adam, AdamW and RMSprop on the processor: the kernels of ``torch.optim``, without its classes around them.

At their first step those load torch's compiler, for seconds of processor time in every process that trains (figures in
``docs/performance.md``), and ask in each step whether they are being compiled. Bits and names of what is remembered are
those of ``torch.optim``, so that a checkpoint of either is one of the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

#: Added to the roots that Adam and RMSprop divide by, as in torch.
_EPSILON = 1e-8


class ProcessorSteps(ABC):
    """Steps over groups of parameters in the processor's memory.

    Args:
        parameters: tensors that learn, or groups of them as torch takes them (``params``; the loop reads ``lr_scale``).
        lr: learning rate, above 0, of every group.

    Attributes:
        param_groups: ``params``, ``lr`` and what else was given, a group each; the loop changes ``lr``.
        remembered: tensors of each parameter that has had a gradient, by its number over all groups, and by name.
    """

    def __init__(self, parameters: Iterable[Any], lr: float) -> None:
        given = list(parameters)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        self.param_groups: list[dict[str, Any]] = [{**group, "lr": lr} for group in groups]
        self.remembered: dict[int, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change every parameter that has a gradient by it."""
        first = 0
        for group in self.param_groups:
            numbered = [(number, one) for number, one in enumerate(group["params"], first) if one.grad is not None]
            first += len(group["params"])
            # A kernel takes tensors of one type, and those that remember something or those that do not yet.
            alike: dict[tuple[torch.dtype, bool], list[tuple[int, Tensor]]] = {}
            for number, one in numbered:
                alike.setdefault((one.dtype, number in self.remembered), []).append((number, one))
            for part in alike.values():
                weights = [one for _, one in part]
                rate = float(group["lr"])  # a tensor where steps are rehearsed as a GPU records them
                self._change([number for number, _ in part], weights, [one.grad for one in weights], rate)

    @abstractmethod
    def _change(self, numbers: Sequence[int], weights: list[Tensor], gradients: list[Any], lr: float) -> None:
        """Change ``weights``, of one type, that have all been changed before or none of them."""

    def _recall(self, numbers: Sequence[int], name: str) -> list[Tensor]:
        return [self.remembered[number][name] for number in numbers]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for one in group["params"]:
                one.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return what is remembered, and the groups, with numbers in place of their parameters."""
        groups, first = [], 0
        for group in self.param_groups:
            count = len(group["params"])
            groups.append({**group, "params": list(range(first, first + count))})
            first += count
        return {"state": {number: dict(one) for number, one in self.remembered.items()}, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember a copy of what ``state_dict`` returned; rates stay those of the groups here."""
        self.remembered = {
            number: {name: tensor.clone() for name, tensor in one.items()} for number, one in state["state"].items()
        }


class Sgd(ProcessorSteps):
    """Stochastic gradient descent, with momentum as in ``torch.optim.SGD``: v ← m·v + g, w ← w − lr·v.

    Args:
        momentum: m, 0 to below 1; 0 remembers nothing.
        nesterov: w ← w − lr·(g + m·v) in its place.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, momentum: float, nesterov: bool) -> None:
        super().__init__(parameters, lr)
        self._momentum, self._nesterov = momentum, nesterov

    def _change(self, numbers: Sequence[int], weights: list[Tensor], gradients: list[Any], lr: float) -> None:
        new = bool(self._momentum) and numbers[0] not in self.remembered
        if new:  # the kernel fills them
            self.remembered |= {
                number: {"momentum_buffer": torch.empty_like(gradient)}
                for number, gradient in zip(numbers, gradients, strict=True)
            }
        torch._fused_sgd_(
            weights,
            gradients,
            self._recall(numbers, "momentum_buffer") if self._momentum else [],
            weight_decay=0.0,
            momentum=self._momentum,
            lr=lr,
            dampening=0.0,
            nesterov=self._nesterov,
            maximize=False,
            is_first_step=new,
        )


class Adam(ProcessorSteps):
    """Adam, as in ``torch.optim.Adam`` and, without weight decay, ``AdamW`` (Kingma and Ba 2015, algorithm 1).

    Args:
        betas: of the running means of the gradient and of its square, 0 to below 1.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, betas: tuple[float, float]) -> None:
        super().__init__(parameters, lr)
        self._betas = betas

    def _change(self, numbers: Sequence[int], weights: list[Tensor], gradients: list[Any], lr: float) -> None:
        for number, weight in zip(numbers, weights, strict=True):
            if number not in self.remembered:
                means = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
                self.remembered[number] = {"step": torch.zeros(()), **means}
        steps = self._recall(numbers, "step")
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            weights,
            gradients,
            self._recall(numbers, "exp_avg"),
            self._recall(numbers, "exp_avg_sq"),
            [],
            steps,
            lr=lr,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=0.0,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )


class RmsProp(ProcessorSteps):
    """RMSprop, as in ``torch.optim.RMSprop``: w ← w − lr·g/(√v + 1e-8) (Tieleman and Hinton 2012, lecture 6.5).

    Args:
        alpha: of the running mean v of the squared gradient, 0 to below 1.
        momentum: 0 to below 1, of what is subtracted; 0 remembers nothing more.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, alpha: float, momentum: float) -> None:
        super().__init__(parameters, lr)
        self._alpha, self._momentum = alpha, momentum

    def _change(self, numbers: Sequence[int], weights: list[Tensor], gradients: list[Any], lr: float) -> None:
        names = ("square_avg", "momentum_buffer") if self._momentum else ("square_avg",)
        for number, weight in zip(numbers, weights, strict=True):
            if number not in self.remembered:
                self.remembered[number] = {name: torch.zeros_like(weight) for name in names}
        squares = self._recall(numbers, "square_avg")
        torch._foreach_mul_(squares, self._alpha)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - self._alpha)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, _EPSILON)
        if not self._momentum:
            torch._foreach_addcdiv_(weights, gradients, roots, -lr)
            return
        changes = self._recall(numbers, "momentum_buffer")
        torch._foreach_mul_(changes, self._momentum)
        torch._foreach_addcdiv_(changes, gradients, roots)
        torch._foreach_add_(weights, changes, alpha=-lr)
