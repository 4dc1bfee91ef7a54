"""lastiterate: learning-rate-schedule theory to understand, check and use.

Modules are imported when they are first used, so that ``import lastiterate`` is quick and ``lastiterate.bounds`` works.
"""

import importlib

__version__ = "0.1.0"
HOME = "https://github.com/lastiterate/lastiterate"
__all__ = ["bounds", "continuation", "design", "experiments", "laws", "logs", "schedules", "trainer", "transfer", "worstcase"]


def __getattr__(name):
    if name == "explore":
        return importlib.import_module("lastiterate.companion.explorer").explore
    if name in __all__:
        return importlib.import_module(f"lastiterate.{name}")
    raise AttributeError(f"module 'lastiterate' has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__, "explore"]
