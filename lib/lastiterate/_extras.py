"""Packages that `pip install lastiterate` does not bring: which extra has them."""

import importlib
import importlib.util
from pathlib import Path
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


def folder(module: str, extra: str) -> Path:
    """Where an installed package is, for the data that it ships; it is not imported. A MissingExtra as in `require`.

    >>> (folder("numpy", "plots") / "__init__.py").is_file()
    True
    """
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(f'this needs {module}, which is not installed: pip install "lastiterate[{extra}]"')
    return Path(found.submodule_search_locations[0])
