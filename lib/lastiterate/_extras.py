"""Packages that `pip install lastiterate` does not bring: which extra has them."""

import importlib
from typing import Any


class MissingExtra(ImportError):
    """A package that an extra brings is not installed; the message has the command that installs it."""


def require(module: str, extra: str) -> Any:
    """A module, imported; where it is not installed, a MissingExtra that names the extra of this package which brings it.

    >>> require("math", "plots").pi > 3
    True
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtra(f'this needs {error.name}, which is not installed: pip install "lastiterate[{extra}]"') from None
