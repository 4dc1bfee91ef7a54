"""Loss curves predicted from learning rates.

A **schedule law** is a formula for the loss after every step of any schedule; it is fitted on the curves of one run or two.
`fit` fits one, `Fit.predict` says what another schedule would have given, `best_schedule` which schedule the law likes best. A
law is a file of this folder; `LAWS` has them by name.
"""

from lastiterate.laws import interval, scoring
from lastiterate.laws.best import best_schedule, power_kernel_optimum
from lastiterate.laws.curves import ill_posed, rates
from lastiterate.laws.fitting import Fit, fit
from lastiterate.laws.known import LAWS, NAMES
from lastiterate.laws.law import Law
from lastiterate.laws.path import Path

__all__ = [
    "LAWS",
    "NAMES",
    "Fit",
    "Law",
    "Path",
    "best_schedule",
    "fit",
    "ill_posed",
    "interval",
    "power_kernel_optimum",
    "rates",
    "scoring",
]
