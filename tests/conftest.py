"""One thread (two busy ones make small tensors slower), slow tests on request only, and hypothesis: the same few examples in every
quick run, new and more of them in the slow one (``HYPOTHESIS_PROFILE=deep``), which prints what fails.
"""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=30)
settings.register_profile("deep", derandomize=False, deadline=None, max_examples=300, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="gpu: there is none"))
    if config.option.markexpr:
        return
    skip = pytest.mark.skip(reason="slow: run with -m slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real pictures, kernels and weights, where there is one."""
    folder = os.environ.get("PNPSR_DATA")
    if not folder:
        pytest.skip("PNPSR_DATA names no folder of real data")
    return Path(folder)
