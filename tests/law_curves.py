"""Laws with known parameters, and their curves."""

import numpy as np

from lastiterate import laws, schedules

STEPS = np.arange(200, 4001, 100)
TRUE = {
    "two_clock": {"L0": 2.5, "A": 0.4, "B": 0.3, "a": 0.5, "c": 0.01},
    "two_clock_fading": {"L0": 2.5, "A": 0.4, "B": 0.3, "a": 0.5, "c": 0.01},
    "two_clock_linear": {"L0": 2.5, "A": 0.4, "B": 0.3},
    "step_memory": {"L0": 2.5, "A": 0.4, "B": 0.02, "a": 0.5, "b": 0.9},
    "bound": {"L0": 2.5, "A": 0.4, "B": 0.02, "a": 0.5},
    "bound_power": {"L0": 2.5, "A": 0.4, "B": 0.03, "a": 0.5, "b": 0.8},
    "annealing": {"L0": 2.5, "A": 0.4, "C": 1e-4, "a": 0.5},
    "multi_power": {"L0": 2.5, "A": 0.4, "B": 0.3, "a": 0.5, "C": 30.0, "beta": 0.5, "gamma": 0.5},
    "functional": {"L0": 2.5, "A": 0.4, "c2": 0.1, "a": 0.5, "c3": 0.5, "c4": 30.0, "gamma": 0.5},
    "two_clock_free": {"L0": 2.5, "A": 0.4, "B": 0.3, "a": 0.5, "c": 0.01, "s": 0.8, "b": 0.7},
}


def curves_of(law, noise=0.0):
    rng = np.random.default_rng(0)
    etas = [schedules.warmup(eta, 100) * 1e-3 for eta in (schedules.cosine(4000, 0.1), schedules.constant(4000))]
    true = laws.Fit(laws.LAWS[law], TRUE[law], 1e-3, float(etas[1].sum()))
    return true, [(eta, STEPS, true.predict(eta, STEPS) + noise * rng.standard_normal(STEPS.size)) for eta in etas]
