"""Learning-rate schedules as arrays: functions that make them, functions that change them, to text and other libraries.

`families` has the formulas, `compose` warmup, cooldown and tokens, `spec` names and files, `tools` other tools' schedules by
their names, `adapters` PyTorch and optax, `settings` other trainers' flags. What is used every day is found here:
``schedules.wsd``, ``schedules.warmup``, ``schedules.named``, ``schedules.to_torch``.
"""

from lastiterate.schedules.adapters import to_optax, to_torch
from lastiterate.schedules.compose import SHAPES, at_tokens, cooldown, join, steps_of, warmup
from lastiterate.schedules.families import (
    NAMES,
    constant,
    cosine,
    cosine_restarts,
    cyclic,
    exponential,
    inverse_linear,
    inverse_sqrt,
    linear,
    one_cycle,
    polynomial,
    step,
    two_stage,
    wsd,
)
from lastiterate.schedules.spec import is_file, make, named, parse, read_csv, write_csv

__all__ = [
    "NAMES",
    "SHAPES",
    "at_tokens",
    "constant",
    "cooldown",
    "cosine",
    "cosine_restarts",
    "cyclic",
    "exponential",
    "inverse_linear",
    "inverse_sqrt",
    "is_file",
    "join",
    "linear",
    "make",
    "named",
    "one_cycle",
    "parse",
    "polynomial",
    "read_csv",
    "step",
    "steps_of",
    "to_optax",
    "to_torch",
    "two_stage",
    "warmup",
    "write_csv",
    "wsd",
]
