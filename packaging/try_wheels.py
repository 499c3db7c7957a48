"""Try the wheels of a folder as a stranger would: in a clean environment, without a checkout.

``make try-wheels`` and the release workflow run it. It takes minutes, so it is no test. For each
Python that is named, it makes an environment in a temporary folder and installs
``genebench-suite[all]`` from the folder of wheels, and the rest from the index of pip. It then goes
three ways from nothing: to a table, to a passing plugin of one's own, and to a board. Any step that
fails ends it::

    python packaging/try_wheels.py dist
    python packaging/try_wheels.py dist --python python3.13 --python python3.14
    python packaging/try_wheels.py dist --constraint packaging/oldest.txt

It needs no library, so that any Python can run it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

DISTRIBUTION = "genebench-suite"
NAMESAKE = "genebench"
"""The other project's name on the package index. Its import package has the same name as ours."""

QUICK_TESTS = (
    "tests/analysis/test_vectors.py",
    "tests/cli/test_list.py",
    "tests/data",
    "tests/formats",
    "tests/preprocessing",
    "plugins/linear/tests/test_linear.py",
)
"""Tests that meet most of the libraries, and take a minute or two."""

TEST_LIBRARIES = ("anndata", "hypothesis", "jsonschema", "pytest")


class Environment:
    """A virtual environment in a folder, and the commands that are run in it.

    Args:
        python: the Python to make it with.
        folder: where it is made. Commands are run in ``folder/work``.
        uv: the command uv, to install with it, or an empty text to install with pip.
    """

    def __init__(self, python: str, folder: Path, uv: str = "") -> None:
        self.uv = uv
        self.bin = folder / "venv" / "bin"
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        (folder / "config.toml").touch()
        # Whatever leads to a checkout is left out.
        self.variables = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        self.variables |= {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "GENEBENCH_HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "GENEBENCH_CONFIG": str(folder / "config.toml"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        venv = [uv, "venv", "--python", python] if uv else [python, "-m", "venv"]
        self.run(*venv, str(folder / "venv"))

    def run(self, *words: str, status: int = 0, folder: Path | None = None) -> str:
        """Run a command, print it with its seconds, and return what it prints.

        Raises:
            SystemExit: its exit status is not ``status``.
        """
        start = time.perf_counter()
        done = subprocess.run(
            words, cwd=folder or self.work, env=self.variables, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        print(f"{seconds:7.1f} s  {shlex.join(words)}", flush=True)
        if done.returncode != status:
            raise SystemExit(f"{done.stdout}\nexit status {done.returncode}, not {status}")
        return done.stdout

    def pip(self, command: str, *words: str) -> None:
        """Install, remove or check packages."""
        if self.uv:
            self.run(self.uv, "pip", command, "--python", str(self.bin / "python"), *words)
        else:
            ask_nothing = ["--yes"] if command == "uninstall" else []
            self.run("python", "-m", "pip", command, *ask_nothing, *words)


def try_python(
    python: str, dist: Path, constraint: Path | None, *, tests: bool, uv: str = ""
) -> None:
    """Install the wheels with one Python, and go the three ways."""
    with tempfile.TemporaryDirectory(prefix="genebench-wheels-") as temporary:
        folder = Path(temporary)
        environment = Environment(python, folder, uv)
        print(environment.run("python", "--version").strip(), flush=True)
        limits = [f"--constraint={constraint}"] if constraint else []
        source = [f"--find-links={dist}", *limits]
        environment.pip("install", *source, f"{DISTRIBUTION}[all]")
        environment.pip("check")
        check_installed(environment, dist)
        to_a_table(environment)
        to_a_plugin(environment, source)
        to_a_board(environment)
        beside_a_namesake(environment, folder, dist)
        if tests:
            environment.pip("install", *source, *TEST_LIBRARIES)
            # Tests make plugins of the same name.
            environment.pip("uninstall", "genebench-mine")
            run_tests(environment, folder, dist)


def check_installed(environment: Environment, dist: Path) -> None:
    """Check that the wheels of the folder are in use, and that no plugin is broken."""
    place = environment.run("python", "-c", "import genebench; print(genebench.__file__)").strip()
    if not Path(place).is_relative_to(environment.bin.parent):
        raise SystemExit(f"genebench comes from {place}, not from the wheels")
    shown = environment.run("genebench", "list", "plugins")
    if "broken" in shown:
        raise SystemExit(f"a plugin is broken:\n{shown}")
    versions = dict(wheel.name.split("-")[:2] for wheel in sorted(dist.glob("*.whl")))
    environment.run(
        "python", "-c",
        "from importlib.metadata import version\n"
        f"for name, built in {versions}.items(): assert version(name) == built, name",
    )  # fmt: skip
    environment.run("genebench", "doctor", "--no-gpu")


def to_a_table(environment: Environment) -> None:
    """Run methods of several plugins, and print their table."""
    environment.run(
        "genebench", "run", "--methods", "lsr,lsr-l2,knn-ge", "--protocol", "geo",
        "--dataset", "sim", "--preset", "tiny",
    )  # fmt: skip
    table = environment.run("genebench", "report")
    if "lsr-l2" not in table or "knn-ge" not in table:
        raise SystemExit(f"the table lacks methods:\n{table}")
    print(table, flush=True)


def to_a_plugin(environment: Environment, source: Sequence[str]) -> None:
    """Write a plugin as a third party would, install it, and run its checks and tests."""
    environment.run("genebench", "new", "method", "mine")
    environment.pip("install", *source, "./genebench-mine[test]")
    environment.run("genebench", "check", "mine")
    environment.run("python", "-m", "pytest", "-q", folder=environment.work / "genebench-mine")
    said = environment.run(
        "genebench", "run", "--methods", "mine", "--protocol", "geo", "--preset", "tiny",
        "--sealed", "require",
    )  # fmt: skip
    if "fork()" in said:
        raise SystemExit(f"Python warns of the fork of a sealed job:\n{said}")


def to_a_board(environment: Environment) -> None:
    """Write the static site, with the plugin's method on it."""
    environment.run("genebench", "leaderboard", "--out", "site")
    pages = "".join(page.read_text("utf-8") for page in (environment.work / "site").rglob("*.html"))
    if "mine" not in pages:
        raise SystemExit("the board lacks the plugin's method")


def beside_a_namesake(environment: Environment, folder: Path, dist: Path) -> None:
    """Install the other project over ours: one line says so. Its remedy mends all."""
    wheel = namesake_wheel(folder)
    environment.pip("install", "--no-deps", "--no-index", str(wheel))
    said = environment.run("genebench", "list", "methods", status=2)
    if said.count("\n") != 1 or f"pip uninstall {NAMESAKE}" not in said:
        raise SystemExit(f"not one line that names the remedy:\n{said}")
    if f"pip uninstall {NAMESAKE}" not in environment.run(
        "genebench", "doctor", "--no-gpu", "--json", status=1
    ):
        raise SystemExit("genebench doctor does not name the remedy")
    environment.pip("uninstall", NAMESAKE)
    environment.pip(
        "install", "--force-reinstall", "--no-deps", f"--find-links={dist}", DISTRIBUTION
    )
    environment.run("genebench", "list", "methods")


def namesake_wheel(folder: Path) -> Path:
    """Write a wheel of the shape that the other project's 0.0.4 has: an empty ``__init__``."""
    wheel = folder / f"{NAMESAKE}-0.0.4-py3-none-any.whl"
    info = f"{NAMESAKE}-0.0.4.dist-info"
    files = {
        f"{NAMESAKE}/__init__.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAMESAKE}\nVersion: 0.0.4\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel


def run_tests(environment: Environment, folder: Path, dist: Path) -> None:
    """Run quick tests of the sdist against the installed wheels."""
    [sdist] = dist.glob(f"{DISTRIBUTION.replace('-', '_')}-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "sdist", filter="data")
    [root] = (folder / "sdist").iterdir()
    # The installed package is tested, and Python would find this one first.
    shutil.rmtree(root / "genebench")
    # Warnings of older libraries are no faults of ours.
    print(
        environment.run(
            "python", "-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider",
            *QUICK_TESTS, folder=root,
        )[-400:],
        flush=True,
    )  # fmt: skip


def main() -> None:
    """Try the wheels with each Python that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dist", type=Path, help="folder of wheels and sdists, from make wheels")
    parser.add_argument(
        "--python", action="append", help="a Python to try. The default is the one that runs this."
    )
    parser.add_argument("--constraint", type=Path, help="file of versions for pip to keep to")
    parser.add_argument(
        "--tests", action="store_true", help="also run quick tests of the sdist against the wheels"
    )
    parser.add_argument("--uv", default="", help="the command uv, to install faster than by pip")
    given = parser.parse_args()
    constraint = given.constraint.resolve() if given.constraint else None
    for python in given.python or [sys.executable]:
        try_python(python, given.dist.resolve(), constraint, tests=given.tests, uv=given.uv)
    print("the wheels work")


if __name__ == "__main__":
    main()
