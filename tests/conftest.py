"""Fixtures of all tests: a data folder, a tiny dataset, small files, plugins, the command line."""

from __future__ import annotations

import errno
import gzip
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import settings

from genebench import api
from genebench._util.hashing import key_of
from genebench.cli import invoke
from genebench.data.store import DataStore
from genebench.datasets.library import open_dataset
from genebench.datasets.manifest import read_manifest
from genebench.files import lock
from genebench.plugins.discovery import installed, use_files
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry
from genebench.preprocessing.recipe import prepare
from genebench.results.record import RECORD_FORMAT, Record
from genebench.specs import Value

# pytest-xdist sets a width of 80 in its workers. Tests of a width set one of their own.
os.environ.pop("COLUMNS", None)

# No deadline: on a busy machine any example may take long. In CI, examples are the same each time.
settings.register_profile("genebench", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("genebench")

REPOSITORY = Path(__file__).resolve().parents[1]


LONG = (
    "plugins/slurm/tests/test_cluster.py",
    "plugins/ray/tests/test_ray.py",
    "tests/test_stranger.py",
    "tests/test_tutorial.py",
    "tests/test_packaging.py",
    "tests/cli/test_snakemake.py",
    "tests/test_docs_site.py",
)
"""Files with tests that take long, in the order of their start. Those of clusters mostly wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start long tests first, so that at the end no process waits for another one's long test."""
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(LONG)))


def pytest_runtest_setup() -> None:
    """Start each test with Python's own handler of SIGINT, which raises KeyboardInterrupt.

    A process that a shell starts in the background inherits SIGINT ignored. An interrupt is then
    lost, here and in every process that a test starts. A library may leave a handler, too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set a data folder for the whole session, so that the user's own is never touched."""
    folder = tmp_path_factory.mktemp("home")
    config = tmp_path_factory.mktemp("config") / "config.toml"
    config.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEBENCH_HOME", str(folder))
        patch.setenv("GENEBENCH_CONFIG", str(config))
        # Most tests look at a method in this process. Tests of the seal ask for it.
        patch.setenv("GENEBENCH_SEALED", "off")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield folder


@pytest.fixture(scope="session")
def tiny(home: Path):
    """Prepare the tiny simulated dataset."""
    return open_dataset("sim", registry().datasets, "tiny")


@pytest.fixture(scope="session")
def lsr_and_knn(tiny, tmp_path_factory) -> Path:
    """Return a folder of lsr, two variants of knn and the controls under both protocols."""
    folder = tmp_path_factory.mktemp("compare") / "results"
    api.run(
        "lsr,knn", dataset="sim", preset="tiny", results=folder, grid={"knn": {"k_max": [1, 20]}}
    )
    return folder


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Return the folder of real files, or skip the test."""
    folder = Path(os.environ.get("GENEBENCH_REALDATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "u133.toml").exists():
        pytest.skip(f"no real data in {folder}; set GENEBENCH_REALDATA")
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that is common to all processes that run tests."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def real_home(realdata: Path, shared: Path) -> Path:
    """Prepare the real data once for all processes that run tests. Return the data folder."""
    store = DataStore(shared / "real-home")
    (shared / "real-home.lock").touch()
    with lock(shared / "real-home.lock", wait=True):
        if not store.names():
            prepare(read_manifest(realdata / "u133.toml"), store=store)
    return shared / "real-home"


@dataclass
class Outcome:
    """Exit status and output of a command."""

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


@pytest.fixture(autouse=True)
def _locks_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test know nothing of the file systems that other tests have simulated."""
    for name in ("_with_locks", "_without_locks"):
        monkeypatch.setattr(f"genebench._util.locks.{name}", set())


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a test a file system that has no locks, as some shared ones."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    monkeypatch.setattr("genebench._util.retries._PAUSES_SECONDS", (0.0,))


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Return a function that waits until a condition holds, and fails after five minutes."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline, "waited for five minutes"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def is_running() -> Callable[[object], bool]:
    """Return a function that says whether a process runs: it has not ended, reaped or not."""

    def runs(pid: object) -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    return runs


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


@pytest.fixture
def plugin_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Load a plugin of one local file, and forget it after the test."""
    monkeypatch.setenv(FILES, "")
    names = []

    def load(name: str, source: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        use_files([path])
        registry.cache_clear()
        names.append(name)
        return path

    yield load
    for name in names:
        sys.modules.pop(name, None)
    installed.cache_clear()
    registry.cache_clear()


@pytest.fixture(scope="session")
def made_up() -> Callable[..., Record]:
    """Make records of runs that never were: nothing is trained, and nothing is on disk."""

    def record(
        method: str, params: dict[str, Value], mae: float | None = 0.5, /, **changes: Any
    ) -> Record:
        """``mae`` is the mean over 10 genes, CC is 1 − MAE; None stands for a failure."""
        identity = {
            "method": method, "params": params, "seed": 0, "protocol": "geo",
            "protocol_version": 1, "train": "geo/train", "validation": "geo/validation",
            "test": "geo/test", "data": "0123456789abcdef", "numerics": 1,
            "code": {"distribution": "made-up", "version": "1.0", "digest": "0" * 16},
        }  # fmt: skip
        identity |= {name: changes.pop(name) for name in set(changes) & {*identity, "splits"}}
        provenance = {
            "command": "python", "started": changes.pop("started", "2026-01-01T00:00:00+00:00"),
            "host": "here", "platform": "linux", "cpus": 2,
            "processor": "a processor", "device": "cpu", "accelerator": "",
            "python": "3.11", "versions": {}, "git": {},
        }  # fmt: skip
        scores = {
            metric: {"all": {"mean": mean, "std": 0.1, "genes": 10}}
            for metric, mean in (() if mae is None else (("mae", mae), ("cc", 1 - mae)))
        }
        failure = {"kind": "ValueError", "message": "no luck", "traceback": ""}
        return Record.model_validate(
            {
                "format": RECORD_FORMAT, "key": key_of(identity),
                "dataset": "sim", "preset": "small",
                "status": "failed" if mae is None else "done", "identity": identity,
                "published_data": False, "choices": {}, "notes": (), "scores": scores,
                "profiles": {"train": 80, "validation": 10, "test": 10},
                "genes": {"landmark": 5, "target": 10}, "metrics": {}, "constant_truth": 0,
                "constant_prediction": 0, "vectors": "", "predictions": "", "seconds": {},
                "shared_fit": (), "peak_memory": 0, "peak_memory_scope": "job",
                "timing": {"epoch": 1, "methods": {method: 1}},
                "failure": failure if mae is None else None, "provenance": provenance,
                "seal": {"level": "no", "reason": "made up"},
            }
            | changes
        )  # fmt: skip

    return record


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """write(name, content): a file, gzipped when text goes to a name ending in .gz."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
            content = gzip.compress(content) if name.endswith(".gz") else content
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def write_gctx(tmp_path: Path) -> Callable[..., Path]:
    """write_gctx(datasets): an HDF5 file with these datasets, by their name in it."""

    def write_gctx(datasets: Mapping[str, Any], name: str = "m.gctx", **options: Any) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.attrs["version"] = "GCTX1.0"
            for key, value in datasets.items():
                filters = options if key.endswith("matrix") else {}
                file.create_dataset(key, data=value, **filters)
        return path

    return write_gctx


@pytest.fixture
def gctx_datasets() -> Callable[..., dict[str, Any]]:
    """gctx_datasets(matrix, genes, profiles): what a sound GCTX file has."""

    def gctx_datasets(
        matrix: np.ndarray, genes: Sequence[str] = (), profiles: Sequence[str] = ()
    ) -> dict[str, Any]:
        rows, columns = matrix.shape
        return {
            "0/DATA/0/matrix": matrix,
            "0/META/ROW/id": list(genes) or [f"gene{i}" for i in range(columns)],
            "0/META/COL/id": list(profiles) or [f"profile{i}" for i in range(rows)],
        }

    return gctx_datasets
