"""Small deep-learning problems that train in seconds, under any schedule: figures and rows of a table that a laptop can redo.

| problem | model and data | method |
| --- | --- | --- |
| cnn | two convolutions, scikit-learn's 8 x 8 digits, shifted by a pixel, with noise | SGD, momentum 0.9, batches of 16 |
| vit | two transformer blocks over 2 x 2 patches of the same | AdamW, batches of 32 |
| mlm | the layers of `trainer.model.GPT`, not causal, fill in masked bytes of Python code | AdamW, batches of 32 x 32 bytes |
| overfit | a wide network on 256 digits, which it comes to fit exactly | SGD, momentum 0.9, batches of 64 |
| cifar10, cifar100 | four convolutions with batch norm, CIFAR with random flips | SGD, momentum 0.9, batches of 128 |

The last two need a download of 170 MB each, and a GPU or patience. A file a problem; `suite` trains them.
"""

from lastiterate.experiments.problems.suite import (
    BUNDLED,
    OFFSETS,
    POWER,
    RATES,
    SCHEDULES,
    SEEDS,
    STEPS,
    best_lr,
    curves,
    record,
    schedule,
    sweep,
    table,
    train,
)

__all__ = [
    "BUNDLED",
    "OFFSETS",
    "POWER",
    "RATES",
    "SCHEDULES",
    "SEEDS",
    "STEPS",
    "best_lr",
    "curves",
    "record",
    "schedule",
    "sweep",
    "table",
    "train",
]
