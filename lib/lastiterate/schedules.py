"""Learning-rate schedules as arrays: functions that make them, and functions that change them.

A schedule is a float64 array of length T with peak 1, the shape only: the learning rate is ``gamma * eta``. Steps are
numbered from 1, so ``eta[0]`` is η₁. A schedule that decays "to zero" would reach 0 at step T + 1: η_T is positive.
"""

import ast
import csv
import inspect
import io
from pathlib import Path

import numpy as np

from lastiterate import _check
from lastiterate._files import write_atomic

NAMES = (  # the functions of T and parameters, by which `named` knows them
    "constant", "linear", "polynomial", "cosine", "cosine_restarts", "wsd", "two_stage", "inverse_sqrt", "inverse_linear",
    "step", "exponential", "one_cycle", "cyclic",
)  # fmt: skip
__all__ = [*NAMES, "NAMES", "SHAPES", "at_tokens", "named", "parse", "read_csv", "to_optax", "to_torch", "warmup", "write_csv"]

# Cooldown shapes as functions of r = (n − k)/n, the part of the cooldown that is left after k of n steps.
SHAPES = {
    "linear": lambda r: r,
    "1-sqrt": lambda r: r / (1 + np.sqrt(1 - r)),  # 1 − √(1 − r), without cancellation where r is small
}


def constant(T):
    """Constant schedule, η_t = 1.

    Args:
        T: number of steps, an integer >= 1.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: if T is not an integer >= 1.

    Source: Schaipp et al. 2025, section 3.

    >>> constant(3)
    array([1., 1., 1.])
    """
    return np.ones(_check.integer("T", T))


def linear(T):
    """Linear decay, η_t = (T + 1 − t)/T: from 1 to 1/T, and to 0 at step T + 1. Optimal in the worst case.

    Args, returns and raises as `constant`.

    Source: Defazio et al. 2023, Theorem 1 and Algorithm 1 with equal weights; Schaipp et al. 2025, figure 18.

    >>> linear(4)
    array([1.  , 0.75, 0.5 , 0.25])
    """
    return polynomial(T, 1.0)


def polynomial(T, power=1.0):
    """Polynomial decay, η_t = ((T + 1 − t)/T)^power.

    Args:
        T: number of steps, an integer >= 1.
        power: exponent, >= 0; 1 is linear decay, 0 is constant.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or power.

    Source: Defazio et al. 2023, figure 3 (comparison schedules).

    >>> polynomial(4, power=2.0)
    array([1.    , 0.5625, 0.25  , 0.0625])
    """
    T = _check.integer("T", T)
    return (np.arange(T, 0, -1) / T) ** _check.real("power", power, 0.0)


def cosine(T, final=0.0, cycle=1.0):
    """Cosine decay, η_t = e + (1 − e)·½(1 + cos(π (t − 1)/(n − 1))) with n = ⌊cycle·(T + 1)⌋.

    Args:
        T: number of steps, an integer >= 1.
        final: value e at the bottom of the cosine, in [0, 1].
        cycle: length of the half wave as a multiple of T + 1, > 0; with 1 the bottom is at step T + 1, with more it is
            not reached, with less the rate rises again.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or final, or a cycle of fewer than two steps.

    Source: Schaipp et al. 2025, section 3 and figure 19.

    >>> cosine(4).round(3)
    array([1.   , 0.854, 0.5  , 0.146])
    """
    T = _check.integer("T", T)
    final = _check.real("final", final, 0.0, 1.0)
    n = _check.floor(_check.real("cycle", cycle, 0.0, open_low=True) * (T + 1))
    if n < 2:
        raise ValueError(f"cycle must be at least 2/(T + 1) = {2 / (T + 1):g} (two steps), got {cycle!r}")
    # ½(1 + cos πx) = sin²(π(1 − x)/2), which keeps its relative accuracy towards the bottom
    return final + (1 - final) * np.sin(0.5 * np.pi * (n - np.arange(1, T + 1)) / (n - 1)) ** 2


def wsd(T, cooldown=0.2, shape="linear", final=0.0):
    """Constant, then a cooldown over the last fraction of the steps ("warmup-stable-decay", its warmup apart).

        n = min(⌊c(T + 1)⌋, T),   T₀ = T + 1 − n;   η_t = 1 for t ≤ T₀,   then e + (1 − e)·s((t − T₀)/n)
        with s(x) = 1 − x ("linear") or 1 − √x ("1-sqrt")

    Args:
        T: number of steps, an integer >= 1.
        cooldown: fraction c in [0, 1]; 0 is constant, 1 with the linear shape is linear decay.
        shape: "linear" or "1-sqrt".
        final: value e that step T + 1 would have, in [0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T, cooldown or final, or an unknown shape (the known ones are listed).

    Source: Schaipp et al. 2025, section 3 and Theorem 9.

    >>> wsd(9, cooldown=0.4)
    array([1.  , 1.  , 1.  , 1.  , 1.  , 1.  , 0.75, 0.5 , 0.25])
    >>> wsd(9, cooldown=0.4, shape="1-sqrt").round(3)
    array([1.   , 1.   , 1.   , 1.   , 1.   , 1.   , 0.5  , 0.293, 0.134])
    """
    T = _check.integer("T", T)
    n = _cooldown_steps(T, cooldown)
    shape = SHAPES[_check.choice("shape", shape, SHAPES)]
    final = _check.real("final", final, 0.0, 1.0)
    eta = np.ones(T)
    if n:
        eta[T - n :] = final + (1 - final) * shape(np.arange(n, 0, -1) / n)
    return eta


def two_stage(T, switch, rho, cooldown=0.2):
    """Constant 1, then constant ρ, then a linear cooldown: a run extended at a lower rate ("wssd").

        η_t = 1 for t ≤ switch, then ρ;   the last n = min(⌊c(T + 1)⌋, T) steps are ρ(1 − (t − T₀)/n), T₀ = T + 1 − n

    Args:
        T: number of steps, an integer >= 1.
        switch: number of steps at rate 1, an integer in 0..T₀; ⌊(1 − c)T₁⌋ where a run of T₁ steps is extended.
        rho: second rate ρ, in (0, 1].
        cooldown: fraction c in [0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument, or a switch that lies in the cooldown.

    Source: Schaipp et al. 2025, section 5.1 and figures 8 and 22.

    >>> two_stage(9, switch=3, rho=0.5, cooldown=0.4)
    array([1.   , 1.   , 1.   , 0.5  , 0.5  , 0.5  , 0.375, 0.25 , 0.125])
    """
    T = _check.integer("T", T)
    n = _cooldown_steps(T, cooldown)
    switch = _check.integer("switch", switch, 0, min(T, T + 1 - n))
    rho = _check.real("rho", rho, 0.0, 1.0, open_low=True)
    eta = rho * wsd(T, cooldown)
    eta[:switch] = 1.0
    return eta


def inverse_sqrt(T, offset=1.0):
    """Inverse square root decay, η_t = √(β/(β + t − 1)); 1/√t for offset β = 1.

    Args:
        T: number of steps, an integer >= 1.
        offset: β > 0; the rate has fallen to 1/√2 after β steps.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or offset.

    Source: Schaipp et al. 2025, figure 18; Defazio et al. 2023, figure 2.

    >>> inverse_sqrt(4).round(3)
    array([1.   , 0.707, 0.577, 0.5  ])
    """
    return np.sqrt(inverse_linear(T, offset))


def inverse_linear(T, offset=1.0):
    """Inverse linear decay, η_t = β/(β + t − 1); 1/t for offset β = 1.

    Args, returns and raises as `inverse_sqrt`; the rate has fallen to one half after β steps.

    Source: Defazio et al. 2023, figure 2.

    >>> inverse_linear(4)
    array([1.        , 0.5       , 0.33333333, 0.25      ])
    """
    T = _check.integer("T", T)
    offset = _check.real("offset", offset, 0.0, open_low=True)
    return offset / (offset + np.arange(T))


def step(T, milestones, factor=0.1):
    """Step-wise decay: after each milestone the rate is multiplied by a factor; η_t = factor^#{m : m < t}.

    Args:
        T: number of steps, an integer >= 1.
        milestones: numbers of steps after which the rate drops, distinct integers in 1..T, as in PyTorch's MultiStepLR.
        factor: in (0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: Defazio et al. 2023, table of the convex suite ("step-wise").

    >>> step(5, milestones=[2, 4], factor=0.5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    T = _check.integer("T", T)
    factor = _check.real("factor", factor, 0.0, 1.0, open_low=True)
    milestones = sorted(_check.integer("milestones", m, 1, T) for m in np.ravel(milestones).tolist())
    if len(set(milestones)) < len(milestones):
        raise ValueError(f"milestones must be distinct, got {milestones}")
    return factor ** np.searchsorted(milestones, np.arange(T), side="right").astype(float)


def exponential(T, final=0.01):
    """Exponential decay, η_t = e^((t − 1)/T): it would have the value e at step T + 1.

    Args:
        T: number of steps, an integer >= 1.
        final: e, in (0, 1].

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on bad T or final.

    Source: PyTorch's ExponentialLR with gamma = e^(1/T).

    >>> exponential(4, final=0.0625)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    T = _check.integer("T", T)
    return _check.real("final", final, 0.0, 1.0, open_low=True) ** (np.arange(T) / T)


def one_cycle(T, peak=0.3, start=0.04, final=4e-6, anneal="cosine"):
    """One cycle up and down: from a low rate to 1, then to almost nothing.

        η_t goes from s to 1 while t − 1 goes from 0 to pT − 1, then to e while t − 1 goes on to T − 1,
        along half a cosine wave or a line

    Args:
        T: number of steps, an integer >= 2.
        peak: share p of the steps up to the peak, in [0, 1), with pT >= 2 or p = 0.
        start: value s at the first step, in [0, 1].
        final: value e at the last one, in [0, 1].
        anneal: "cosine" or "linear".

    Returns:
        Array of shape (T,); its largest entry is 1 where pT is a whole number.

    Raises:
        ValueError: on a bad argument.

    Source: Smith and Topin, Super-convergence, 2018; PyTorch's OneCycleLR, whose div_factor is 1/s and final_div_factor s/e.

    >>> one_cycle(10, anneal="linear").round(2)
    array([0.04, 0.52, 1.  , 0.86, 0.71, 0.57, 0.43, 0.29, 0.14, 0.  ])
    """
    T = _check.integer("T", T, 2)
    peak, start, final = (_check.real(n, v, 0.0, 1.0) for n, v in (("peak", peak), ("start", start), ("final", final)))
    top = peak * T - 1  # where the peak is, counted from 0
    if peak and not 1 <= top < T - 1:
        raise ValueError(f"peak must be 0 or in [2/T, 1) = [{2 / T:g}, 1), got {peak!r}")
    _check.choice("anneal", anneal, ("cosine", "linear"))
    top, at = max(top, 0.0), np.arange(T)
    share = np.where(at <= top, at / max(top, 1e-300), (T - 1 - at) / (T - 1 - top))  # 1 at the peak, 0 at both ends
    share = np.where(at <= top if top else at == 0, share if top else 1.0, share)
    height = share if anneal == "linear" else np.sin(0.5 * np.pi * share) ** 2
    low = np.where(at <= top, start, final)
    return low + (1 - low) * height


def cyclic(T, up, down=None, low=0.1, mode="triangular", decay=1.0):
    """Triangles between a low rate and 1, of constant or falling height.

        x = 0 … 1 over `up` steps and back over `down` steps, again and again from the first step on;
        η_t = l + (1 − l)·x·h,   h = 1 ("triangular"), 2^−(cycle − 1) ("triangular2") or decay^(t − 1) ("exp_range")

    Args:
        T: number of steps, an integer >= 1.
        up, down: steps of the rise and of the fall, integers >= 1; by default as many.
        low: value l at the ends of a triangle, in [0, 1].
        mode: "triangular", "triangular2" (each triangle half as high as the one before) or "exp_range".
        decay: factor a step of "exp_range", in (0, 1].

    Returns:
        Array of shape (T,); a run of fewer than `up` + 1 steps does not reach 1.

    Raises:
        ValueError: on a bad argument.

    Source: Smith, Cyclical learning rates for training neural networks, 2017; PyTorch's CyclicLR.

    >>> cyclic(9, up=2, low=0.0)
    array([0. , 0.5, 1. , 0.5, 0. , 0.5, 1. , 0.5, 0. ])
    >>> cyclic(7, up=1, down=2, low=0.0, mode="triangular2")
    array([0.  , 1.  , 0.5 , 0.  , 0.5 , 0.25, 0.  ])
    """
    T, up = _check.integer("T", T), _check.integer("up", up)
    down = up if down is None else _check.integer("down", down)
    low, decay = _check.real("low", low, 0.0, 1.0), _check.real("decay", decay, 0.0, 1.0, open_low=True)
    cycle, at = np.divmod(np.arange(T), up + down)
    x = np.where(at <= up, at / up, (up + down - at) / down)
    heights = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": decay ** np.arange(T)}
    return low + (1 - low) * x * heights[_check.choice("mode", mode, heights)]


def cosine_restarts(T, first, multiple=1, final=0.0):
    """Cosine decay that starts again: periods of n₁ = first, n₁·m, n₁·m², … steps; e + (1 − e)·½(1 + cos(π i/n)), i < n.

    Args:
        T: number of steps, an integer >= 1.
        first: length n₁ of the first period, an integer >= 1.
        multiple: factor m from one period to the next, an integer >= 1.
        final: value e towards which each period decays, in [0, 1]; the step at which it would be reached starts the next.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: Loshchilov and Hutter, SGDR, 2017; PyTorch's CosineAnnealingWarmRestarts.

    >>> cosine_restarts(6, first=2, multiple=2).round(3)
    array([1.   , 0.5  , 1.   , 0.854, 0.5  , 0.146])
    """
    T, n, m = _check.integer("T", T), _check.integer("first", first), _check.integer("multiple", multiple)
    final, parts, total = _check.real("final", final, 0.0, 1.0), [], 0
    while total < T:
        parts.append(np.cos(0.5 * np.pi * np.arange(min(n, T - total)) / n) ** 2)
        total, n = total + n, n * m
    return final + (1 - final) * np.concatenate(parts)


def warmup(eta, steps, start=0.0):
    """The same schedule with its first steps multiplied by a linear ramp, s + (1 − s)·t/steps for t ≤ steps.

    Args:
        eta: schedule, shape (T,).
        steps: length of the warmup, an integer in 0..T; step number `steps` is the first at the full rate.
        start: value s of the ramp before the first step, in [0, 1].

    Returns:
        New array of shape (T,).

    Raises:
        ValueError: on a bad argument.

    Source: both papers' language-model runs (300 steps in Schaipp et al. 2025).

    >>> warmup(constant(6), 4)
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  ])
    """
    eta = _check.schedule(eta).copy()
    steps = _check.integer("steps", steps, 0, eta.size)
    start = _check.real("start", start, 0.0, 1.0)
    if steps:
        eta[:steps] *= start + (1 - start) * np.arange(1, steps + 1) / steps
    return eta


def at_tokens(eta, batch):
    """A schedule of equal steps, read at the tokens (or examples) that a run with changing batch sizes has seen.

        step t begins after c_t = Σ_{j<t} b_j of C = Σ b_j tokens: its rate is η at position 1 + N·c_t/C, linear in between

    Args:
        eta: schedule over equal shares of the budget, shape (N,).
        batch: tokens of each step, shape (T,), > 0.

    Returns:
        Array of shape (T,); eta itself where all batches are equal and T = N.

    Raises:
        ValueError: on bad input.

    Source: this project.

    >>> at_tokens(linear(4), batch=[1, 1, 2])
    array([1.  , 0.75, 0.5 ])
    """
    eta, batch = _check.schedule(eta), _check.array("batch", batch)
    if not batch.all():
        raise ValueError(f"batch must be positive, got 0 at step {np.flatnonzero(batch == 0)[0] + 1}")
    seen = np.append(0.0, np.cumsum(batch)[:-1]) / batch.sum()
    return np.interp(1 + eta.size * seen, np.arange(1, eta.size + 1), eta)


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


def write_csv(path, eta, lr=None):
    """Write a schedule as a CSV file with the columns `step` and `eta`, and `lr` where a base learning rate is given.

    Args:
        path: file, .csv; it is written whole or not at all.
        eta: schedule, shape (T,).
        lr: base learning rate γ, > 0.

    Raises:
        ValueError: on a bad argument.

    Source: this project. The numbers have all their digits: `read_csv` gives the same array.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "linear.csv"
    >>> write_csv(path, linear(4), lr=0.5)
    >>> print(path.read_text().splitlines()[:2], read_csv(path))
    ['step,eta,lr', '1,1.0,0.5'] [1.   0.75 0.5  0.25]
    """
    if Path(path).suffix != ".csv":
        raise ValueError(f"path must be a file name that ends in .csv, got {str(path)!r}")
    eta, text = _check.schedule(eta), io.StringIO()
    lr = None if lr is None else _check.real("lr", lr, 0.0, open_low=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "eta"] + (["lr"] if lr else []))
    for t, value in enumerate(eta.tolist(), 1):
        writer.writerow([t, repr(value)] + ([repr(lr * value)] if lr else []))
    write_atomic(path, text.getvalue().encode())


def read_csv(path):
    """Read a schedule from a CSV file with a column `eta`, or from one with a single column, with or without a heading.

    Args:
        path: file.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: for a file that cannot be read as such; its columns, or the bad row, are named.

    Source: this project. For the example see `write_csv`.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path must be a CSV file, got {str(path)!r}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows:
        raise ValueError(f"schedule {path} is empty")
    heading = [name.strip() for name in rows[0]]
    if "eta" not in heading and len(heading) != 1:
        raise ValueError(f"schedule {path} must have a column 'eta', or one column only; it has {', '.join(map(repr, heading))}")
    column, values = heading.index("eta") if "eta" in heading else 0, []
    for number, row in enumerate(rows, 1):
        try:
            values.append(float(row[column]))
        except (ValueError, IndexError):
            if number > 1:
                raise ValueError(f"schedule {path}: row {number} must have a number, got {row!r}") from None
    return _check.schedule(values, f"schedule {path}")


def named(spec, T=None):
    """Schedule by its name and parameters, as on a command line, or from a CSV file.

    Args:
        spec: "linear", "wsd:cooldown=0.2,shape=1-sqrt", "step:milestones=[30,60]" (a name in NAMES), or a CSV file's path.
        T: number of steps; may be left out for a file, whose length it must have otherwise.

    Returns:
        Array of shape (T,).

    Raises:
        ValueError: for an unknown name or parameter (the known ones are listed), or a file of another length.

    Source: this project.

    >>> named("wsd:cooldown=0.4", 9)[-3:]
    array([0.75, 0.5 , 0.25])
    """
    name, parameters = parse(spec)
    if name not in NAMES:
        eta = read_csv(name)
        if T is not None and eta.size != _check.integer("T", T):
            raise ValueError(f"schedule {spec} must have {T} rows, one a step, got {eta.size}")
        return eta
    if T is None:
        raise ValueError(f"T must be given for schedule {name!r}: the number of steps")
    try:
        return globals()[name](T, **parameters)
    except TypeError as error:
        raise ValueError(f"schedule {name!r}: {error}") from None


def parse(spec):
    """(name, parameters) of a schedule as `named` takes it; the name is in NAMES, or a CSV file's.

    >>> parse("wsd:cooldown=0.2,shape=1-sqrt")
    ('wsd', {'cooldown': 0.2, 'shape': '1-sqrt'})
    """
    name, _, rest = str(spec).partition(":")
    if name not in NAMES:
        if not str(spec).endswith(".csv"):
            raise ValueError(f"schedule must be one of {', '.join(NAMES)}, or a CSV file, got {str(spec)!r}")
        return str(spec), {}
    known = [p for p in inspect.signature(globals()[name]).parameters if p != "T"]
    try:
        call = ast.parse(f"f({rest})", mode="eval").body
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            raise SyntaxError
    except SyntaxError:
        raise ValueError(f"schedule must look like {name}:{known[0] if known else '…'}=value,…, got {str(spec)!r}") from None
    parameters = {}
    for keyword in call.keywords:
        if keyword.arg not in known:
            raise ValueError(f"schedule {name!r} has no parameter {keyword.arg!r}; it has {', '.join(known) or 'none'}")
        try:
            parameters[keyword.arg] = ast.literal_eval(keyword.value)
        except ValueError:  # a word, such as 1-sqrt
            parameters[keyword.arg] = ast.get_source_segment(f"f({rest})", keyword.value)
    return name, parameters


def _cooldown_steps(T, cooldown):
    return min(_check.floor(_check.real("cooldown", cooldown, 0.0, 1.0) * (T + 1)), T)
