"""The sequences of gradient norms that Defazio et al. 2023 published, and the schedules that they compare with.

The files are in `published`'s registry "defazio2023", as Weights & Biases exported them: ten of the repository's last state (l1
norms where training was with Adam), and the l2 norms of seven tasks, of an earlier one. `TASKS` are the eight of figure 3.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lastiterate import _check, design, schedules
from lastiterate.logs import published
from lastiterate.logs.norms import filled, norms

TRIM = 2  # first and last rows, which are artefacts of the export
SAMPLES = 10_000  # of a sequence, at least, in the authors' plotting code; a tenth of them, and one, is its median's window


class Sequence(NamedTuple):
    """What there is of one run."""

    file: str
    title: str
    norm: int
    """2 for l2 norms, 1 for l1 norms."""
    power: int
    """Of the refinement: 2 with SGD, 1 with Adam-type methods."""
    compared: tuple[float, float] | None = None
    """Warmup in percent and power of the decay of the authors' comparison, where it has one."""


SEQUENCES = {
    "imagenet": Sequence("norm_sequences_l1/imagenet_gnorm.csv", "ImageNet", 2, 2, (1, 3.0)),
    "rcnn": Sequence("norm_sequences_l1/rcnn_gnorm.csv", "RCNN", 2, 2, (0, 1.5)),
    "roberta": Sequence("norm_sequences_l1/roberta_l1.csv", "RoBERTa", 1, 1, (45, 0.8)),
    "vit": Sequence("norm_sequences_l1/vit_l1.csv", "ViT", 1, 1),
    "gpt": Sequence("norm_sequences_l1/gpt_l1.csv", "GPT", 1, 1, (28, 1.0)),
    "iwslt14": Sequence("norm_sequences_l1/iwslt14_l1.csv", "IWSLT14", 1, 1),
    "dlrm": Sequence("norm_sequences_l1/dlrm_l1.csv", "DLRM", 1, 1, (20, 0.9)),
    "mri": Sequence("norm_sequences_l1/mri_l1.csv", "MRI", 1, 1, (40, 0.9)),
    "cifar10": Sequence("norm_sequences/cifar10.csv", "CIFAR-10", 2, 2),
    "cifar100": Sequence("norm_sequences/cifar100.csv", "CIFAR-100", 2, 2),
    "gpt_l2": Sequence("norm_sequences/gpt.csv", "GPT", 2, 1, (24, 1.2)),
    "iwslt14_l2": Sequence("norm_sequences/iwslt14.csv", "IWSLT14", 2, 1, (10, 1.3)),
    "dlrm_l2": Sequence("norm_sequences/dlrm.csv", "DLRM", 2, 1, (8, 1.4)),
    "mri_l2": Sequence("norm_sequences/mri.csv", "MRI", 2, 1, (12, 0.5)),
    "roberta_l2": Sequence("norm_sequences/roberta.csv", "RoBERTa", 2, 1, (20, 1.0)),
    "vit_l2": Sequence("norm_sequences/vit.csv", "ViT", 2, 1, (12, 1.5)),
    "rcnn_earlier": Sequence("norm_sequences/rcnn.csv", "RCNN, earlier run", 2, 2, (7, 2.0)),
}
TASKS = ["imagenet", "iwslt14_l2", "gpt_l2", "roberta", "dlrm_l2", "mri_l2", "vit", "rcnn"]  # of figure 3, in its order


def load(name: str) -> NDArray[np.float64]:
    """Gradient norms of one run at even intervals of steps: without the export's artefacts, missing ones filled as in `norms`.

    Args:
        name: in SEQUENCES.

    Returns:
        Array of shape (n,), from the first to the last step; what was not logged in between is interpolated. Time is the step,
        not the row: the rows of the l1 norms of ViT are dense at first, and off by up to a sixth of the run.

    Raises:
        ValueError: for an unknown name.
        published.DataError: where the file cannot be had.

    Source: Defazio et al. 2023, figure 3.
    """
    file = _file(name)
    return norms(file, column=pd.read_csv(file, nrows=0).columns[1], trim=TRIM, fill=True)


def smooth_by_rows(name: str) -> NDArray[np.float64]:
    """Norms through the median filter of the authors' plotting code: over 1001 rows of the file, whatever their steps.

    Args, raises, source: as `load`.

    Returns:
        Array of shape (n,), at the steps of `load`. Where a file has fewer than SAMPLES rows they are interpolated to so many
        first, and the window is a tenth of the run; otherwise it is 2 to 4 percent of the rows.
    """
    even = load(name)
    table = pd.read_csv(_file(name)).iloc[TRIM:-TRIM]
    steps, rows = table.iloc[:, 0].to_numpy(dtype=float), filled(table.iloc[:, 1]).to_numpy(dtype=float)
    if rows.size < SAMPLES:
        at = np.linspace(0, rows.size - 1, SAMPLES)
        steps, rows = np.interp(at, np.arange(rows.size), steps), np.interp(at, np.arange(rows.size), rows)
    smoothed = design.smooth(rows, (SAMPLES // 10 + 1) / rows.size)
    return np.interp(np.linspace(steps[0], steps[-1], even.size), steps, smoothed)


def _file(name):
    return published.fetch("defazio2023", SEQUENCES[_check.choice("name", name, SEQUENCES)].file)


def comparison(T: int, warmup: float, power: float) -> NDArray[np.float64]:
    """Warmup over the first percent of the steps, t/W for t ≤ W, then polynomial decay to zero over the T − W that are left.

    Args:
        T: steps.
        warmup: in percent of them, in [0, 100); W is rounded to a step.
        power: of the decay, > 0.

    Returns:
        Array of shape (T,). Unlike `schedules.warmup` the ramp comes before the decay, not on top of it.

    Raises:
        ValueError: on a bad argument.

    Source: Defazio et al. 2023, figure 3, the dashed curves.

    >>> comparison(6, warmup=50, power=1)
    array([0.33333333, 0.66666667, 1.        , 1.        , 0.66666667,
           0.33333333])
    """
    T, warmup = _check.integer("T", T), _check.real("warmup", warmup, 0.0, 100.0)
    steps = round(warmup / 100 * T)
    if steps >= T:
        raise ValueError(f"warmup must leave a step for the decay, got {warmup:g} % of {T} steps")
    return np.concatenate([np.arange(1, steps + 1) / max(steps, 1), schedules.polynomial(T - steps, power)])
