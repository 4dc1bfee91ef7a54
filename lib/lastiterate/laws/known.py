"""All laws by their names, in the order in which tables have them."""

from lastiterate.laws import (
    annealing,
    bound,
    bound_power,
    functional,
    multi_power,
    step_memory,
    two_clock,
    two_clock_fading,
    two_clock_free,
    two_clock_linear,
)

_FILES = (
    two_clock, two_clock_fading, two_clock_linear, two_clock_free, step_memory, bound, bound_power, annealing, multi_power,
    functional,
)  # fmt: skip
LAWS = {module.LAW.name: module.LAW for module in _FILES}
NAMES = tuple(LAWS)
