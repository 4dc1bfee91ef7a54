"""The convex suite: multi-class logistic regression with Adam under nine schedules, all runs of a data set as one tensor program.

Weights start at zero; batches of 16, shuffled anew each epoch; 100 epochs. The runs of a seed see the same batches, so their
products are one matrix product: X (16 x d) times the weights of all runs side by side (d x runs·classes).
"""

import math
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from lastiterate import _check, design, schedules
from lastiterate._files import write_atomic
from lastiterate.logs.formats import read_table
from lastiterate.logs.published import DataError

RATES = np.geomspace(1e-3, 100, 11).round(6).tolist()  # half decades
EPOCHS, BATCH, SEEDS = 100, 16, 10
BETA1, BETA2, EPS = 0.9, 0.95, 1e-8
PLAIN = ["flat", "1/t", "1/sqrt(t)", "step-wise", "cosine", "linear"]
REFINED = {"refined l2^-2": ("l2", 2), "refined l1^-1": ("l1", 1), "refined l2^-1": ("l2", 1)}  # norm, power
BUNDLED = ["iris", "wine", "breast_cancer", "digits"]  # with scikit-learn
REDUCED = {  # the first principal components of a set
    "iris-2": ("iris", 2), "wine-2": ("wine", 2), "breast_cancer-2": ("breast_cancer", 2),
    "breast_cancer-5": ("breast_cancer", 5), "digits-4": ("digits", 4), "digits-8": ("digits", 8),
}  # fmt: skip
OPENML = ["letter", "pendigits", "vehicle", "vowel", "glass", "segment", "satimage"]  # need a network
COLUMNS = ["dataset", "schedule", "lr", "error", "error_se", "loss", "loss_se", "separable", "edge"]


def load(name):
    """A classification data set, each feature standardised, with a constant one.

    Args:
        name: in BUNDLED, REDUCED (the first principal components of a bundled set, which are no longer separable) or OPENML.

    Returns:
        (X, y): float64 of shape (n, d), int64 of shape (n,) with classes 0, 1, …

    Raises:
        ValueError: for an unknown name.
        DataError: where an OpenML set cannot be downloaded.

    >>> X, y = load("iris")
    >>> X.shape, y.max()
    ((150, 5), np.int64(2))
    """
    from sklearn import datasets

    _check.choice("name", name, [*BUNDLED, *REDUCED, *OPENML])
    source, components = REDUCED.get(name, (name, None))
    if source in OPENML:
        try:
            found = datasets.fetch_openml(source, version=1, as_frame=False, parser="liac-arff")
        except Exception as error:  # of many kinds: addresses, time-outs, hashes
            raise DataError(f"cannot download {source!r} from OpenML: {type(error).__name__}: {error}") from None
    else:
        found = getattr(datasets, f"load_{source}")()
    X, y = np.asarray(found.data, dtype=float), np.unique(found.target, return_inverse=True)[1]
    X = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    if components:
        vectors = np.linalg.svd(X, full_matrices=False)[2][:components]
        X = X @ vectors.T
        X /= X.std(axis=0)
    return np.column_stack([X, np.ones(len(X))]), y


def separable(X, y):
    """Whether a linear classifier without error exists: by a linear program, W with (w_{y_i} − w_c)·x_i ≥ 1 for all i, c ≠ y_i.

    >>> separable(*load("wine")), separable(*load("iris"))
    (True, False)
    """
    from scipy import optimize, sparse

    d, C = X.shape[1], int(y.max()) + 1
    i, c = np.nonzero(np.arange(C) != y[:, None])  # an inequality each
    rows = np.repeat(np.arange(len(i)), d)
    columns = np.arange(d) + d * np.stack([c, y[i]])[:, :, None]
    values = np.stack([X[i], -X[i]]).ravel()
    matrix = sparse.csr_matrix((values, (np.concatenate([rows, rows]), columns.ravel())), (len(i), C * d))
    found = optimize.linprog(np.zeros(C * d), matrix, -np.ones(len(i)), bounds=(None, None), method="highs")
    return found.status == 0


def steps(n, epochs=EPOCHS, batch=BATCH):
    """Steps of a run on n examples: epochs of n // batch batches."""
    n, epochs, batch = _check.integer("n", n), _check.integer("epochs", epochs), _check.integer("batch", batch)
    return epochs * max(n // batch, 1)


def schedule(name, T):
    """One of the schedules PLAIN: "step-wise" falls to a tenth after 30, 60 and 90 % of the run."""
    if name == "step-wise":
        return schedules.step(T, [max(1, round(f * T)) for f in (0.3, 0.6, 0.9)])
    makers = {"flat": schedules.constant, "1/t": schedules.inverse_linear, "1/sqrt(t)": schedules.inverse_sqrt}
    return (makers | {"cosine": schedules.cosine, "linear": schedules.linear})[_check.choice("name", name, PLAIN)](T)


def batches(n, T, seed, batch=BATCH):
    """Examples of each step, shape (T, batch): a new permutation each epoch, a function of the seed alone."""
    rng = np.random.default_rng(seed)
    per_epoch, batch = max(n // batch, 1), min(batch, n)
    epochs = [rng.permutation(n)[: per_epoch * batch].reshape(per_epoch, batch) for _ in range(-(-T // per_epoch))]
    return np.concatenate(epochs)[:T]


def train(X, y, rates, seeds, batch=BATCH, record=0, dtype=torch.float32, progress=None, beta1=BETA1, beta2=BETA2, reset=()):
    """Train one model for each seed and each sequence of rates, all at once.

    Args:
        X, y: from `load`.
        rates: learning rates, shape (V, T), finite and >= 0.
        seeds: of the batches, S of them.
        batch: examples a step.
        record: number of points along the run at which the loss is recorded.
        dtype: of the arithmetic.
        progress: called after each step, if given.
        beta1, beta2: of Adam.
        reset: numbers of steps after which Adam forgets its moments and its count of steps.

    Returns:
        dict of arrays: `loss` and `error`, the mean loss and the share misclassified over all of X after the last step, shape
        (S, V); `l1` and `l2`, norms of the gradients, shape (S, V, T); `step` (record,) and `curve` (S, V, record); `weights`
        (S, V, d, C).

    Raises:
        ValueError: on a bad argument, or where there are too many runs for one program.

    Source: Defazio et al. 2023, the logistic-regression experiments; Adam as torch.optim.Adam.
    """
    X, y = _checked(X, y)
    rates, seeds = _check.measured("rates", rates, 0.0, ndim=2), _check.sequence("seeds", seeds)
    batch, record = _check.integer("batch", batch), _check.integer("record", record, 0)
    beta1, beta2 = _check.below("beta1", beta1, 1.0), _check.below("beta2", beta2, 1.0)
    (V, T), S, C = rates.shape, len(seeds), int(y.max()) + 1
    seeds = [_check.integer("seeds", seed, 0) for seed in seeds]
    if not seeds:
        raise ValueError("seeds must be one integer or more, got none")
    reset = {_check.integer("reset", step, 0, T) for step in _check.sequence("reset", reset)}
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {_check.shown(dtype)}")
    _check.fits("rates", "schedules times seeds times the steps, or the weights of a model,", V * S * max(T, X.shape[1] * C))
    X, y = torch.as_tensor(X, dtype=dtype), torch.as_tensor(y)
    n, d = X.shape
    order = torch.as_tensor(np.stack([batches(n, T, seed, batch) for seed in seeds]))  # (S, T, batch)
    hot = torch.nn.functional.one_hot(y, C).to(dtype)
    lr = torch.as_tensor(rates, dtype=dtype)
    w, m, v = (torch.zeros(S, d, V, C, dtype=dtype) for _ in range(3))
    l1, l2 = np.empty((T, S, V)), np.empty((T, S, V))
    at = np.unique(np.linspace(1, T, record).round().astype(int)) if record else np.empty(0, int)
    curve, since = [], 0
    for t in range(T):
        if t in reset:
            m, v, since = torch.zeros_like(m), torch.zeros_like(v), t
        x, target = X[order[:, t]], hot[order[:, t]]  # (S, batch, d), (S, batch, C)
        p = torch.bmm(x, w.view(S, d, V * C)).view(S, -1, V, C).softmax(-1)
        g = torch.bmm(x.mT, (p - target.unsqueeze(2)).view(S, -1, V * C)).view(S, d, V, C).div_(x.shape[1])
        l1[t], l2[t] = g.abs().sum((1, 3)), g.square().sum((1, 3)).sqrt()
        m.lerp_(g, 1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        size = v.sqrt().div_(math.sqrt(1 - beta2 ** (t + 1 - since))).add_(EPS)
        w.sub_((m / size).mul_((lr[:, t] / (1 - beta1 ** (t + 1 - since))).view(V, 1)))
        if t + 1 in at:
            curve.append(_evaluate(X, y, w)[0])
        if progress:
            progress()
    loss, error = _evaluate(X, y, w)
    result = {"loss": loss, "error": error, "l1": np.moveaxis(l1, 0, 2), "l2": np.moveaxis(l2, 0, 2), "step": at}
    result["curve"] = np.stack(curve, axis=2) if curve else np.empty((S, V, 0))
    return result | {"weights": w.permute(0, 2, 1, 3).numpy()}


def _checked(X, y):
    """Features and classes as arrays, if they are what `load` gives."""
    X, y = _check.measured("X", X, ndim=2), _check.integers("y", y, 0, 10**6)
    if len(y) != len(X):
        raise ValueError(f"y must have a class for each of the {len(X)} rows of X, got {len(y)}")
    return X, y


def _evaluate(X, y, w):
    """(mean loss, share misclassified) over all examples, each of shape (S, V); infinite where weights are not finite."""
    S, d, V, C = w.shape
    loss, error = np.empty((S, V)), np.empty((S, V))
    for s in range(S):
        logits = (X @ w[s].reshape(d, V * C)).view(-1, V, C)
        picked = logits.gather(2, y.view(-1, 1, 1).expand(-1, V, 1)).squeeze(2)
        loss[s] = (logits.logsumexp(2) - picked).mean(0).double()
        error[s] = (logits.argmax(2) != y.view(-1, 1)).double().mean(0)
    return np.where(np.isfinite(loss), loss, np.inf), np.where(np.isfinite(loss), error, 1.0)


def at_best_rates(
    X: NDArray, y: NDArray, etas: Iterable[ArrayLike], rates: ArrayLike, seeds: Iterable[int], **options: Any
) -> tuple[NDArray, NDArray]:
    """Final losses of schedules, each at the rate, of those tried, that has the lowest mean over the seeds.

    Args:
        X, y: from `load`.
        etas: n schedules of one length.
        rates: base learning rates to try.
        seeds: of the batches, S of them.
        **options: of `train`.

    Returns:
        (losses, shape (S, n); best rates, shape (n,)).

    Raises:
        ValueError: on a bad argument.
    """
    etas, seeds = [_check.schedule(eta, "etas") for eta in _check.sequence("etas", etas)], _check.sequence("seeds", seeds)
    rates = _check.measured("rates", rates, 0.0, open_low=True)
    if len({eta.size for eta in etas}) != 1:
        raise ValueError(f"etas must be schedules of one length, got {_check.shown([eta.size for eta in etas])}")
    found = train(X, y, np.concatenate([np.outer(rates, eta) for eta in etas]), seeds, **options)
    losses = found["loss"].reshape(len(seeds), len(etas), rates.size)
    best = losses.mean(axis=0).argmin(axis=1)
    return losses[:, np.arange(len(etas)), best], rates[best]


def minimum(X: NDArray, y: NDArray, T: int, lr: float = 0.1, batch: int = BATCH) -> float:
    """The lowest loss that there is, to be subtracted from others: of one long run of T steps with linear decay.

    Args:
        X, y: from `load`, not separable: there the lowest is 0, and no run reaches it.
        T: steps.
        lr: base learning rate.
        batch: examples a step.

    Raises:
        ValueError: on a bad argument.
    """
    lr = _check.real("lr", lr, 0.0, open_low=True)
    return train(X, y, [lr * schedules.linear(T)], [0], batch=batch)["loss"].item()


def compare(name, seeds=range(SEEDS), rates=RATES, epochs=EPOCHS, progress=None):
    """All nine schedules on a data set: each at the rate of the grid that has the lowest mean loss.

    The refined ones use the norms of linear decay at its best rate, means over the seeds.

    Returns:
        DataFrame with COLUMNS, a row a schedule: share misclassified and loss over the data at the end, mean and standard error
        over the seeds; whether the data are separable; whether the best rate is an edge of the grid.

    Args, raises: as `load`.
    """
    X, y = load(name)
    T, V = steps(len(X), epochs), len(rates)
    rows = []

    def add(names, etas):
        found = train(X, y, np.concatenate([np.outer(rates, eta) for eta in etas]), seeds, progress=progress)
        for i, schedule_name in enumerate(names):
            loss, error = (found[key][:, i * V : (i + 1) * V] for key in ("loss", "error"))
            best = int(loss.mean(axis=0).argmin())
            values = [(a[:, best].mean(), a[:, best].std(ddof=1) / math.sqrt(len(seeds))) for a in (error, loss)]
            rows.append([name, schedule_name, rates[best], *values[0], *values[1], None, best in (0, V - 1)])
        return found

    found = add(PLAIN, [schedule(p, T) for p in PLAIN])
    linear = PLAIN.index("linear") * V + rates.index(rows[PLAIN.index("linear")][2])
    norms = {kind: found[kind][:, linear].mean(axis=0) for kind in ("l1", "l2")}
    tiny = np.finfo(np.float32).tiny
    add(list(REFINED), [design.refine(np.maximum(norms[kind], tiny), power) for kind, power in REFINED.values()])
    return pd.DataFrame(rows, columns=COLUMNS).assign(separable=separable(X, y))


def record(out, openml=False):
    """Run the suite and write its table, a data set at a time; sets that cannot be downloaded are named and left out.

    Args:
        out: table, .csv; data sets that it has already are not run again.
        openml: whether to run the sets of OPENML as well (which needs a network).

    Raises:
        ValueError: where `out` is a file of another kind.
    """
    from tqdm import tqdm

    if not isinstance(out, str | Path) or Path(out).suffix.lower() != ".csv":
        raise ValueError(f"out must be a file name that ends in .csv, got {out!r}")
    out, names = Path(out), [*BUNDLED, *REDUCED, *(OPENML if openml else [])]
    done = read_table(out, COLUMNS)
    missing = [name for name in names if name not in set(done["dataset"])]
    print(f"{len(missing)} of {len(names)} data sets to run; the bundled ones take about 10 minutes on two cores", flush=True)
    failed = 0
    for name in missing:
        try:
            X, _ = load(name)
        except DataError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            failed += 1
            continue
        with tqdm(total=2 * steps(len(X)), desc=name, unit="step", disable=None) as bar, warnings.catch_warnings():
            warnings.simplefilter("ignore", design.DegenerateSchedule)  # separable sets: the table marks them
            found = compare(name, progress=bar.update)
        done = pd.concat([done, found], ignore_index=True) if len(done) else found
        write_atomic(out, done.to_csv(index=False, float_format="%.6g").encode())
    print(f"{done['dataset'].nunique()} data sets in {out}" + (f"; {failed} could not be had" if failed else ""))
