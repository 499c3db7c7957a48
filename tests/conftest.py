"""What all tests share: a home of their own, a tiny dataset, plugins on disk, the command line."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from genebench.cli import invoke
from genebench.library import open_dataset

# A busy machine is no failure; and what CI finds, it finds again.
settings.register_profile("genebench", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("genebench")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for the whole session: the user's own is never touched."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEBENCH_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny(home: Path):
    """The tiny simulated dataset, prepared."""
    from genebench.catalog import catalog

    return open_dataset("sim", catalog().datasets, "tiny")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real files; tests that need it are skipped, visibly, where it is absent."""
    folder = Path(os.environ.get("GENEBENCH_REALDATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "u133.toml").exists():
        pytest.skip(f"no real data in {folder}; set GENEBENCH_REALDATA")
    return folder


@dataclass
class Outcome:
    """What a command gave."""

    status: int
    out: str
    err: str


@pytest.fixture
def genebench(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command line in this process."""

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        status = invoke([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(status, out, err)

    return run


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a fake distribution on disk: one module and its entry point of group genebench."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def fake(module: str, source: str, *, version: str = "1.0", point: str | None = None) -> Path:
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[genebench]\n{point or module} = {module}\n")
        return site

    return fake
