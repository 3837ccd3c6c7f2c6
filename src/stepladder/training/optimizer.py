"""The optimizer of a recipe, made by torch."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn, optim

from stepladder.optimizer import Optimizer


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


def make_optimizer(settings: Optimizer, module: nn.Module) -> Steps:
    """Return torch's optimizer over all parameters of ``module`` that learn.

    Fused where torch has it so: it updates them in one pass over memory. Weight decay is off, adamw's too.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    # On a GPU the counts of steps lie there too, so that a recorded step can go on counting.
    there = all(parameter.is_cuda for parameter in parameters)
    lr, momentum, betas = settings.lr, settings.momentum or 0.0, (settings.beta1 or 0.0, settings.beta2 or 0.0)
    if settings.name == "adam":
        return optim.Adam(parameters, lr=lr, betas=betas, fused=True, capturable=there)
    if settings.name == "adamw":
        return optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=0, fused=True, capturable=there)
    if settings.name == "rmsprop":
        return optim.RMSprop(parameters, lr=lr, alpha=settings.alpha or 0.0, momentum=momentum, capturable=there)
    if settings.name == "muon":
        return MuonAndAdamW(module, settings)
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
        self._matrices = [(weight, nn.Parameter(_matrix(weight.detach()))) for weight in hidden]
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
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
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


def _matrix(weight: Tensor) -> Tensor:
    """(O, I) as it is; (O, I, H, W) as (O, H·W·I), the same memory where it lies channels-last, as we build it."""
    return weight if weight.ndim == 2 else weight.permute(0, 2, 3, 1).flatten(1)
