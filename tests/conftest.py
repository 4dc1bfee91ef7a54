from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repository", deadline=None, derandomize=True)
settings.load_profile("repository")


@pytest.fixture(scope="session")
def repository():
    return Path(__file__).parents[1]


@pytest.fixture
def one_thread():
    """Torch on one thread, as in a worker: sums in the same order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
