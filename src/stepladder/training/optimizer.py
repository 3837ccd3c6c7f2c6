"""The optimizer of a recipe: torch's, on the processor by its kernels alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn, optim

from stepladder.errors import RecipeError
from stepladder.optimizer import Optimizer
from stepladder.training.processor_steps import Adam, RmsProp, Sgd


class Steps(Protocol):
    """What the loop needs of an optimizer."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any:
        """Change every parameter by its gradient."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that it remembers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` returned."""


def make_optimizer(settings: Optimizer, module: nn.Module, scales: Mapping[str, float] | None = None) -> Steps:
    """Return torch's optimizer over all parameters of ``module`` that learn, or what gives its bits on the processor.

    Fused where torch has it so: it updates them in one pass over memory. Weight decay is off, adamw's too.

    Args:
        scales: what the learning rate is multiplied by in children of ``module``, by name; 1 where it is not told.

    Raises:
        RecipeError: the optimizer cannot have several rates.
    """
    learning = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    scaled = [(scales or {}).get(name.partition(".")[0], 1.0) for name, _ in learning]
    parameters: list[Any] = [parameter for _, parameter in learning]
    # On a GPU the counts of steps lie there too, so that a recorded step can go on counting.
    there = all(parameter.is_cuda for _, parameter in learning)
    if any(scale != 1 for scale in scaled):
        if settings.name == "muon":
            raise RecipeError("muon has its own rates for its layers; use another optimizer, or leave out layer_decay")
        # A group a rate; the loop sets each by its lr_scale.
        parameters = [
            {"params": [one for one, own in zip(parameters, scaled, strict=True) if own == scale], "lr_scale": scale}
            for scale in dict.fromkeys(scaled)
        ]
    lr, momentum, betas = settings.lr, settings.momentum or 0.0, (settings.beta1 or 0.0, settings.beta2 or 0.0)
    if settings.name == "muon":
        return MuonAndAdamW(module, settings)
    if all(parameter.device.type == "cpu" for _, parameter in learning):
        if settings.name in ("adam", "adamw"):  # without weight decay they are one
            return Adam(parameters, lr, betas)
        if settings.name == "rmsprop":
            return RmsProp(parameters, lr, settings.alpha or 0.0, momentum)
        return Sgd(parameters, lr, momentum, bool(settings.nesterov))
    if settings.name == "adam":
        return optim.Adam(parameters, lr=lr, betas=betas, fused=True, capturable=there)
    if settings.name == "adamw":
        return optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=0, fused=True, capturable=there)
    if settings.name == "rmsprop":
        return optim.RMSprop(parameters, lr=lr, alpha=settings.alpha or 0.0, momentum=momentum, capturable=there)
    return optim.SGD(parameters, lr=lr, momentum=momentum, nesterov=bool(settings.nesterov), fused=True)


def takes_rate_as_tensor(optimizer: Steps) -> bool:
    """Return whether its learning rates may be tensors that change between steps; torch's Muon reads a number."""
    return not isinstance(optimizer, MuonAndAdamW)


class MuonAndAdamW:
    """torch's Muon for the hidden weights and its AdamW for the rest (Jordan et al. 2024, "Muon").

    Muon orthogonalizes the update of a matrix, so torch's takes matrices alone. A convolution's kernels are seen as the
    matrix (channels out, kernel positions · channels in), as Jordan does. First and last layer, biases, and scales and
    shifts of normalizations go to AdamW, at ``adamw_lr``, scaled as Muon's rate is scheduled.
    """

    def __init__(self, module: nn.Module, settings: Optimizer) -> None:
        weights = [
            layer.weight
            for layer in module.modules()
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.requires_grad
        ]
        hidden = weights[1:-1]
        chosen = {id(weight) for weight in hidden}
        rest = [weight for weight in module.parameters() if weight.requires_grad and id(weight) not in chosen]
        #: Hidden weights, and the same memory as matrices.
        self._matrices = [(weight, nn.Parameter(_matrix(weight.detach(), weight))) for weight in hidden]
        self._rest = rest
        self._optimizers: list[optim.Optimizer] = []
        if hidden:
            matrices = [matrix for _, matrix in self._matrices]
            momentum, nesterov = settings.momentum or 0.0, bool(settings.nesterov)
            self._optimizers.append(
                optim.Muon(matrices, lr=settings.lr, weight_decay=0, momentum=momentum, nesterov=nesterov)
            )
        adamw_lr = settings.adamw_lr or settings.lr
        self._optimizers.append(optim.AdamW(rest, lr=adamw_lr, weight_decay=0, fused=True))
        # The loop sets every group's rate; this one keeps its proportion.
        self._optimizers[-1].param_groups[0]["lr_scale"] = adamw_lr / settings.lr
        self.param_groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        """Change every parameter by its gradient."""
        for weight, matrix in self._matrices:
            matrix.grad = None if weight.grad is None else _matrix(weight.grad, weight)
        for optimizer in self._optimizers:
            optimizer.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in [weight for weight, _ in self._matrices] + self._rest:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return all that both remember."""
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` returned."""
        for optimizer, part in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(part)
        self.param_groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]


def _matrix(values: Tensor, weight: Tensor) -> Tensor:
    """(O, I) as it is; (O, I, H, W) as (O, H·W·I) where ``weight`` lies channels-last, as we build it, else (O, I·H·W).

    Of the weight itself that is the same memory. A module of the user's own may lie row by row; the order of the
    columns means nothing to Muon.
    """
    if values.ndim == 2:
        return values
    channels_last = weight.permute(0, 2, 3, 1).is_contiguous()
    return (values.permute(0, 2, 3, 1) if channels_last else values).flatten(1)
