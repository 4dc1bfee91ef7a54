"""Training runs as tables.

`formats` reads one log into the one schema, `runs` finds the authors' runs and this repository's by their attributes, `norms`
takes gradient norms out of a log, `about` says what is understood of one, `published` downloads what is published, verified.
``logs.read``, ``logs.find``, ``logs.load``, ``logs.norms`` and ``logs.about`` are found here.
"""

from lastiterate import _extras

_extras.require("pandas", "logs")
from lastiterate.logs.about import About, about, intervals  # noqa: E402
from lastiterate.logs.formats import LogNote, read  # noqa: E402
from lastiterate.logs.names import COLUMNS, EXTRA  # noqa: E402
from lastiterate.logs.norms import norms  # noqa: E402
from lastiterate.logs.published import DataError, fetch, recorded  # noqa: E402
from lastiterate.logs.runs import describe, final_val_loss, find, load, recorded_names  # noqa: E402

__all__ = [
    "COLUMNS",
    "EXTRA",
    "About",
    "DataError",
    "LogNote",
    "about",
    "describe",
    "fetch",
    "final_val_loss",
    "find",
    "intervals",
    "load",
    "norms",
    "read",
    "recorded",
    "recorded_names",
]
