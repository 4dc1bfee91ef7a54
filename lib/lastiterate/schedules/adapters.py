"""Schedules for other libraries: PyTorch, and optax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lastiterate import _check, _extras

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

__all__ = ["to_optax", "to_torch"]


def to_torch(optimizer: Optimizer, eta: ArrayLike | Sequence[ArrayLike], last_epoch: int = -1) -> LRScheduler:
    """PyTorch scheduler that multiplies the optimizer's base learning rate by eta, one entry a step.

    Call ``scheduler.step()`` after each ``optimizer.step()``: with gradient accumulation once an update, not once a micro-batch
    (`accelerate`'s prepared schedulers step once a process: give it ``split_batches=True``, or step the plain one; for Lightning
    return ``{"scheduler": scheduler, "interval": "step"}``). Behind the last step the last rate is kept, with a warning.

    A resume is ``to_torch`` with the schedule of the run as it is to be, and ``load_state_dict`` of optimizer and scheduler in
    either order: the schedule is not part of the state, so that it may have another horizon, and the first step has its rate.

    Args:
        optimizer: a torch optimizer whose `lr` is the base learning rate γ.
        eta: schedule, shape (T,); or a list of them, one for each parameter group.
        last_epoch: as PyTorch's schedulers have it: number of steps done, less one; -1 at the start.

    Returns:
        A torch.optim.lr_scheduler.LambdaLR; it can be pickled.

    Raises:
        ValueError: if eta is not a schedule, there is not one for each group, or optimizer is not an optimizer.

    Source: this project's one adapter from arrays to PyTorch.

    >>> import torch
    >>> from lastiterate.schedules import linear
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = to_torch(optimizer, linear(4))
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.param_groups[0]["lr"])
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.375, 0.25, 0.125]
    """
    if not hasattr(optimizer, "param_groups"):
        raise ValueError(f"optimizer must be a torch optimizer, got {optimizer!r}")
    groups = len(optimizer.param_groups)
    given = eta if isinstance(eta, list | tuple) and len(eta) and all(np.ndim(one) == 1 for one in eta) else [eta] * groups
    etas = [_check.schedule(one).tolist() for one in given]
    if len(etas) != groups:
        raise ValueError(f"eta must be one schedule, or one for each of the {groups} parameter groups, got {len(etas)}")
    last_epoch = _check.integer("last_epoch", last_epoch, -1)
    _extras.require("torch", "train")
    from lastiterate.schedules._torch import ArraySchedule  # here, because this module is used without PyTorch elsewhere

    return ArraySchedule(optimizer, etas, last_epoch)


def to_optax(eta: ArrayLike, lr: float = 1.0) -> Callable[[Any], Any]:
    """Optax schedule: a function of the step count (from 0) that gives lr·eta, for any optimizer of optax, also under jit.

    Behind the last step the last rate is kept.

    Args:
        eta: schedule, shape (T,).
        lr: base learning rate γ, > 0.

    Returns:
        Function of an integer or of a JAX array of one.

    Raises:
        ValueError: on a bad argument.

    Source: this project's one adapter from arrays to JAX (which it needs: pip install "lastiterate[adapters]").

    >>> from lastiterate.schedules import linear
    >>> schedule = to_optax(linear(4), lr=0.5)
    >>> [float(schedule(count)) for count in range(5)]
    [0.5, 0.375, 0.25, 0.125, 0.125]
    """
    lr, eta = _check.real("lr", lr, 0.0, open_low=True), _check.schedule(eta)
    with np.errstate(over="ignore", under="ignore"):
        rates = lr * eta
        _check.schedule(rates.astype(np.float32), "lr * eta, in float32,")
    _extras.require("jax", "adapters")
    import jax.numpy as jnp  # here, because this module is used without JAX elsewhere

    rates = jnp.asarray(rates)
    return lambda count: rates[jnp.minimum(count, rates.size - 1)]
