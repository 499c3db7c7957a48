"""A data folder of its own, with the tiny simulated dataset."""

from __future__ import annotations

import pytest

from genebench.datasets.library import open_dataset
from genebench.plugins.registry import registry


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Prepare the tiny simulated dataset in a folder that is not the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GENEBENCH_SEALED", "off")
        yield open_dataset("sim", registry().datasets, "tiny")
