import pytest

from lastiterate.trainer import sweep
from tiny import ROWS, TINY


@pytest.fixture(scope="module")
def jobs():
    return sweep.plan(sweep.runs(ROWS, **TINY | {"lr": 3e-3}))
