"""Schedules for other libraries: PyTorch, and optax."""

from lastiterate import _check

__all__ = ["to_optax", "to_torch"]


def to_torch(optimizer, eta):
    """PyTorch scheduler that multiplies the optimizer's base learning rate by eta, one entry a step.

    Call ``scheduler.step()`` after each ``optimizer.step()``. Behind the last step the last rate is kept.

    Args:
        optimizer: a torch optimizer whose `lr` is the base learning rate γ.
        eta: schedule, shape (T,).

    Returns:
        torch.optim.lr_scheduler.LambdaLR.

    Raises:
        ValueError: if eta is not a schedule, or optimizer not an optimizer.

    Source: this project's one adapter from arrays to PyTorch.

    >>> import torch
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
    eta = _check.schedule(eta).tolist()
    if not hasattr(optimizer, "param_groups"):
        raise ValueError(f"optimizer must be a torch optimizer, got {optimizer!r}")
    from torch.optim.lr_scheduler import LambdaLR  # here, because this module is used without PyTorch elsewhere

    return LambdaLR(optimizer, lambda steps_done: eta[min(steps_done, len(eta) - 1)])


def to_optax(eta, lr=1.0):
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

    >>> schedule = to_optax(linear(4), lr=0.5)
    >>> [float(schedule(count)) for count in range(5)]
    [0.5, 0.375, 0.25, 0.125, 0.125]
    """
    rates = _check.real("lr", lr, 0.0, open_low=True) * _check.schedule(eta)
    import jax.numpy as jnp  # here, because this module is used without JAX elsewhere

    rates = jnp.asarray(rates)
    return lambda count: rates[jnp.minimum(count, rates.size - 1)]
