from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repository", deadline=None, derandomize=True)
settings.load_profile("repository")


@pytest.fixture(scope="session")
def repository():
    return Path(__file__).parents[1]
