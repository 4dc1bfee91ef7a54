"""The core of an installed wheel with NumPy and SciPy alone: doctests, closed forms, four commands, what a missing extra says.

Run by tests/try_core.sh in an environment that has no pytest.
"""

import doctest
import importlib
import importlib.metadata
import subprocess
import sys

import numpy as np

from lastiterate import bounds, design, laws, schedules, transfer

CORE = ["bounds", "_closed_forms", "continuation", "design", "transfer", "_check", "_extras"]
CORE += ["schedules.compose", "schedules.families", "schedules.spec"]
CORE += ["laws.best", "laws.curves", "laws.fitting", "laws.interval", "laws.scoring"]


def installed():
    found = {d.metadata["Name"].lower() for d in importlib.metadata.distributions()} - {"pip", "setuptools", "wheel"}
    assert found == {"lastiterate", "numpy", "scipy"}, found


def doctests():
    finder, runner, attempted = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), 0
    for name in CORE:
        for test in finder.find(importlib.import_module(f"lastiterate.{name}")):
            if "cap=" not in test.docstring.partition(">>>")[2]:  # a cone program needs the extra "solvers"
                attempted += runner.run(test).attempted
    assert attempted > 50 and runner.summarize().failed == 0, attempted


def closed_forms():
    T, gamma = 50, 0.3
    harmonic = sum(1 / k for k in range(1, T))
    exact = 1 / (2 * gamma * T) + 0.5 * gamma * (1 + harmonic)
    assert abs(bounds.omega(gamma * schedules.constant(T), horizons=T) - exact) < 1e-14
    assert np.isclose(bounds.optimal_lr(schedules.linear(400))[1], 0.10063, atol=5e-6)
    eta, bound, certificate = design.optimal(100)
    assert round(bound, 6) == 0.200114 and certificate["gap"] < 1e-12 and eta.max() == 1
    assert np.allclose(design.refine(np.ones(5), window=0), [1, 0.75, 0.5, 0.25, 0])
    assert np.allclose(design.optimal(100, prefix=np.full(50, 0.1))[0][:50], design.optimal(100, prefix=np.full(50, 0.1))[0][0])
    assert abs(transfer.extend_rate(4000, 8000) - 0.533) < 1e-3 and abs(transfer.extend_cooldown(4000, 8000) - 0.633) < 1e-3
    assert schedules.linear(7)[-1] == 1 / 7
    law = laws.Fit(laws.LAWS["bound"], {"L0": 0.0, "A": 0.5, "B": 0.5, "a": 1.0})
    assert abs(law.predict(gamma * schedules.constant(T), [T])[0] - exact) < 1e-12


def run(*words, status=0):
    done = subprocess.run(["lastiterate", *words], capture_output=True, text=True)
    assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def commands():
    assert "0.10063" in run("bound", "linear", "--steps", "400", "--out", "omega.csv")
    assert "Ω at --lr" in run("bound", "wsd:cooldown=0.2,warmup=40", "cosine", "--steps", "400", "--lr", "0.02")
    assert "minus_sqrt" in run("schedule", "wsd:shape=1-sqrt", "--steps", "99", "--lr", "1", "--for", "megatron")
    assert "Evidence: " in run("transfer", "hf.cosine", "linear", "--steps", "99")
    assert "0.374 ×" in run("extend", "--from", "50000", "--to", "200000", "--out", "plan.csv")
    assert "200,000" in run("bound", "plan.csv")
    assert "Multiply the rate by 1.9" in run("transfer", "wsd", "linear", "--steps", "8000", "--lr", "1e-3")
    assert "0.20011436" in run("optimal", "--steps", "100", "--units", "bound", "--out", "best.csv")
    assert "rate of the next step" in run("optimal", "--steps", "100", "--taken", "50", "--tuned", "wsd", "--lr", "3e-4")
    assert "must have 9 rows" in run("bound", "best.csv", "--steps", "9", status=2)
    assert run("--version").startswith("lastiterate ")
    assert "usage: lastiterate bound" in run("bound", "--help")


def missing_extras():
    for words, extra in [
        (("refine", "log.csv"), "logs"),
        (("log", "log.csv"), "logs"),
        (("bound", "linear", "--steps", "9", "--grad-norms", "log.csv"), "logs"),
        (("optimal", "--steps", "9", "--cap", "0.1", "--units", "bound"), "solvers"),
        (("train", "--steps", "9"), "train"),
        (("sweep", "table.toml"), "train"),
        (("worstcase", "table.csv"), "solvers"),
        (("convex", "table.csv"), "train"),
        (("problems", "runs"), "train"),
        (("figures",), "paper"),
        (("data",), "logs"),
        (("predict", "log.csv", "--schedule", "linear"), "logs"),
        (("laws", "table.csv"), "logs"),
    ]:
        said = run(*words, status=2)
        assert said.count("\n") == 1 and f'pip install "lastiterate[{extra}]"' in said, (words, said)


if __name__ == "__main__":
    for check in (installed, doctests, closed_forms, commands, missing_extras):
        check()
        print(f"core: {check.__name__} ok", flush=True)
    sys.exit(0)
