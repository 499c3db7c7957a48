"""Fixtures of sealed processes: plugins of dishonest methods, and a launcher for all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from genebench.confinement.policy import capability
from genebench.plugins.discovery import installed, use_files
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GTEX
from genebench.sealing.client import SealedJob, close_launchers

HERE = Path(__file__).parent
PLUGINS = ("roads", "probes", "breakers")

needs_landlock = pytest.mark.skipif(
    capability().level != "landlock", reason=f"no Landlock: {capability().reason}"
)


@pytest.fixture(scope="module")
def plugins():
    """Load the plugin files of this folder, and forget them before other tests."""
    before, files = os.environ.get(FILES), [HERE / f"{name}.py" for name in PLUGINS]
    # As for a user: the other tests of this suite switch the seal off.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GENEBENCH_SEALED", raising=False)
        use_files(files)
        registry.cache_clear()
        yield registry()
    os.environ.pop(FILES) if before is None else os.environ.update({FILES: before})
    for name in PLUGINS:
        sys.modules.pop(name, None)
    for cached in (installed, registry):
        cached.cache_clear()
    close_launchers()


@pytest.fixture
def job_of(plugins, tiny, tmp_path):
    """Return a function that makes the job of a method on the tiny dataset."""
    scratch = tmp_path / "results" / ".job.work"
    scratch.mkdir(parents=True)
    parts = {
        "train": tiny.profiles(GEO.train),
        "validation.geo": tiny.profiles(GEO.validation),
        "validation.gtex": tiny.profiles(GTEX.validation),
    }

    def job(name, forbidden=(), **params):
        spec = plugins.methods.get(name)
        return SealedJob(
            method=spec, params=spec.values("tiny", {}) | params, seed=0, device="cpu",
            n_targets=len(parts["train"].target_genes), parts=parts, scratch=scratch,
            forbidden=(scratch.parent, Path(os.environ["GENEBENCH_HOME"]), *forbidden),
        )  # fmt: skip

    return job


@pytest.fixture
def fit():
    """Return a function that fits a sealed method: protocol → its model."""

    def fit(method, job, **settings):
        from genebench.method import Context

        validation_sets = {
            name.removeprefix("validation."): part
            for name, part in job.parts.items()
            if name != "train"
        }
        return method.fit(job.parts["train"], validation_sets, Context(**settings))

    return fit
