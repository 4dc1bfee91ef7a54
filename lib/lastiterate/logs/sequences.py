"""The ten sequences of gradient norms that Defazio et al. 2023 published, and the schedules that they compare with.

The files are in `published`'s registry "defazio2023"; l1 and l2 norms of a run, as Weights & Biases exported them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lastiterate import _check, schedules
from lastiterate.logs import published
from lastiterate.logs.norms import filled

TRIM = 2  # first and last rows, which are artefacts of the export


class Sequence(NamedTuple):
    """What there is of one run."""

    file: str
    title: str
    power: int
    """Of the refinement, and which norms these are: 2 for l2 norms (SGD), 1 for l1 norms (Adam)."""
    compared: tuple[float, float] | None = None
    """Warmup in percent and power of the decay of the paper's comparison, where it has one."""


SEQUENCES = {
    "imagenet": Sequence("norm_sequences_l1/imagenet_gnorm.csv", "ImageNet", 2, (1, 3.0)),
    "rcnn": Sequence("norm_sequences_l1/rcnn_gnorm.csv", "RCNN", 2, (0, 1.5)),
    "roberta": Sequence("norm_sequences_l1/roberta_l1.csv", "RoBERTa", 1, (45, 0.8)),
    "vit": Sequence("norm_sequences_l1/vit_l1.csv", "ViT", 1),
    "gpt": Sequence("norm_sequences_l1/gpt_l1.csv", "GPT", 1, (28, 1.0)),
    "iwslt14": Sequence("norm_sequences_l1/iwslt14_l1.csv", "IWSLT14", 1),
    "dlrm": Sequence("norm_sequences_l1/dlrm_l1.csv", "DLRM", 1, (20, 0.9)),
    "mri": Sequence("norm_sequences_l1/mri_l1.csv", "MRI", 1, (40, 0.9)),
    "cifar10": Sequence("norm_sequences/cifar10.csv", "CIFAR-10", 2),
    "cifar100": Sequence("norm_sequences/cifar100.csv", "CIFAR-100", 2),
}


def load(name: str) -> NDArray[np.float64]:
    """Gradient norms of one run, shape (n,): without the export's artefacts, missing ones filled from the step before.

    Args:
        name: in SEQUENCES.

    Raises:
        ValueError: for an unknown name.
        published.DataError: where the file cannot be had.

    Source: Defazio et al. 2023, figure 3.
    """
    _check.choice("name", name, SEQUENCES)
    rows = pd.read_csv(published.fetch("defazio2023", SEQUENCES[name].file)).iloc[TRIM:-TRIM, 1]
    return filled(rows).to_numpy(dtype=float)


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
