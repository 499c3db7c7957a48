"""Everything to be measured and tested on a machine with a CUDA device and no package index.

Copy the checkout and a folder of wheels there: genebench, its plugins, and whatever the machine
lacks (``pip wheel . plugins/*/ pytest … -w wheels`` on a like machine). Then::

    python benchmarks/gpu.py --wheels wheels --out gpu.md

The script installs the wheels into a temporary folder. Each stage runs in a process of its own with
a time limit, so that a crash or a lack of memory costs that stage alone:

- ``tests``: every test that needs a CUDA device.
- ``dgex`` and ``ggan``: a training step of 3 × 9000 units, plain and ours, with its share of the
  memory floor (see ``training.py``). The goals are 5 and 8 ms on an H200.
- ``lsr-l2``, ``lsr-l1``, ``knn-ge``, ``knn``, ``kernel-ridge``: fit and prediction at the published
  size, 88,807 training, 11,101 validation and 11,101 test profiles of 943 + 9,520 genes.
- ``parity``: the same methods on the device and on the CPU, on smaller data.

The table is written after each stage. All stages together end within ``--minutes`` (20). ``--tiny``
runs every stage at a tiny size, also on a CPU: a test of this script, not of the device.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from xml.etree.ElementTree import fromstring

ROOT = Path(__file__).resolve().parents[1]
GOALS_MS = {"dgex": 5.0, "ggan": 8.0}
"""Goals of a float32 or bfloat16 step of 3 × 9000 units on an H200, whichever is faster."""
CLOSED_FORMS = ("lsr-l2", "lsr-l1", "knn-ge", "knn", "kernel-ridge")
LIMITS_SECONDS = {
    "tests": 240, "dgex": 60, "ggan": 90, **dict.fromkeys(CLOSED_FORMS, 120), "parity": 120,
}  # fmt: skip
"""Stage → its time limit. What is left of ``--minutes`` may be less."""
CLOSE = 1e-3
"""Standard deviations that predictions of the device and the CPU may differ by."""
VERSIONS = ("genebench-suite", "torch", "numpy", "scipy")


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    stage: str
    what: str
    value: str
    goal: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Size:
    """Numbers of profiles and genes, and the size of the networks."""

    train: int
    others: int
    landmarks: int
    targets: int
    layers: int
    units: int
    preset: str
    repeats: int


PUBLISHED = Size(88_807, 11_101, 943, 9_520, 3, 9000, "paper", 10)
PARITY = Size(4_000, 500, 943, 1_000, 1, 300, "small", 1)
TINY = Size(120, 40, 12, 20, 1, 8, "tiny", 2)


def device() -> str:
    """Return the device to measure."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


# The stages. Each yields rows as soon as it has them.


def tests(*, tiny: bool) -> Iterator[Row]:
    """Run the tests that are skipped without a CUDA device."""
    files = cuda_tests(ROOT)
    if tiny:
        files = [file for file in files if "knn" in file.parts]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-p", "gpu", "-p", "no:cacheprovider",
                f"--junitxml={report}", *map(str, files),
            ],
            cwd=ROOT, check=False, env=os.environ | {"PYTHONPATH": _with(Path(__file__).parent)},
        )  # fmt: skip
        yield from test_rows(report.read_text() if report.exists() else "")


def pytest_collection_modifyitems(items: list) -> None:
    """Keep the tests that are skipped without a CUDA device. pytest loads this file as a plugin."""
    items[:] = [
        item
        for item in items
        if any("CUDA" in mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif"))
    ]


def _with(folder: Path | str) -> str:
    """Return the import path with a folder in front."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


def cuda_tests(root: Path) -> list[Path]:
    """Return the files with tests that are skipped without a CUDA device."""
    return sorted(
        path
        for folder in (root / "tests", *root.glob("plugins/*/tests"))
        for path in folder.rglob("test_*.py")
        if "cuda.is_available()" in path.read_text("utf-8")
    )


def test_rows(report: str) -> Iterator[Row]:
    """Yield the counts of a JUnit report, and a row for each test that failed."""
    if not report:
        yield Row("tests", "pytest", "no report", "a report", "MISSED")
        return
    cases = [*fromstring(report).iter("testcase")]
    failed = [case for case in cases if {"failure", "error"} & {part.tag for part in case}]
    skipped = [case for case in cases if "skipped" in {part.tag for part in case}]
    passed = len(cases) - len(failed) - len(skipped)
    counts = f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped"
    missed = bool(failed or skipped or not passed)
    yield Row("tests", "CUDA tests", counts, "all passed", "MISSED" if missed else "met")
    for case in (*failed, *skipped):
        state = "failed" if case in failed else "skipped"
        yield Row("tests", f"{case.get('classname')}.{case.get('name')}", state)


def steps(stage: str, size: Size) -> Iterator[Row]:
    """Time a training step, plain and ours, and compare it with the memory floor and the goal."""
    training = _training(size)
    subject, shape = training.SUBJECTS[stage], (size.layers, size.units)
    measured = {precision: training.limits(precision) for precision in training.DTYPES}
    works = {precision: subject.ours(*shape, precision) for precision in measured}
    spent = training.least({"plain": subject.plain(*shape), **works}, size.repeats)
    name = f"{subject.title} {size.layers} × {size.units}"
    yield Row(stage, f"{name}, plain", f"{1e3 * spent['plain']:.2f} ms")
    for precision, limits in measured.items():
        share = limits.floor(*subject.cost(*shape, precision)) / spent[precision]
        yield Row(
            stage, f"{name}, {precision}",
            f"{1e3 * spent[precision]:.2f} ms, {share:.0%} of the floor, "
            f"{spent['plain'] / spent[precision]:.1f} × plain",
        )  # fmt: skip
    best = 1e3 * min(spent[precision] for precision in measured)
    goal = GOALS_MS[stage]
    verdict = "met" if best <= goal else "MISSED"
    yield Row(stage, f"{name}, best", f"{best:.2f} ms", f"≤ {goal:g} ms on an H200", verdict)


def _training(size: Size):  # noqa: ANN202  a module
    """Return ``training.py`` with the numbers of genes of a size."""
    sys.path.insert(0, str(Path(__file__).parent))
    import training

    training.LANDMARKS, training.TARGETS = size.landmarks, size.targets
    if size is TINY:
        training.BATCH, training.DISCRIMINATOR_UNITS = 10, 6
        training.PRODUCT_ROWS, training.COPIED_NUMBERS = 64, 1 << 12
    return training


def closed_form(name: str, size: Size) -> Iterator[Row]:
    """Time fit and prediction of a method on simulated profiles."""
    import torch

    on = device()
    train, validation, test = simulated(size)
    started = time.perf_counter()
    model = fitted(name, size, train, validation, on)
    spent = time.perf_counter() - started
    yield Row(name, f"{name}, fit on {on}", f"{spent:.1f} s, chosen {dict(model.choices)}")
    started = time.perf_counter()
    for block in test.blocks():
        model.predict(block.landmarks)
    yield Row(name, f"{name}, {len(test):,} predictions", f"{time.perf_counter() - started:.2f} s")
    if on == "cuda":
        peak = torch.cuda.max_memory_allocated() / 1e9
        yield Row(name, f"{name}, peak memory of the device", f"{peak:.1f} GB")


def parity(size: Size) -> Iterator[Row]:
    """Compare predictions of the device with those of the CPU."""
    import numpy as np

    train, validation, test = simulated(size)
    for name in CLOSED_FORMS:
        ours, theirs = (
            fitted(name, size, train, validation, on).predict(test.landmarks)
            for on in (device(), "cpu")
        )
        difference = float(np.abs(ours - theirs).max())
        yield Row(
            "parity", f"{name}, {device()} − cpu", f"at most {difference:.1e}", f"≤ {CLOSE:g}",
            "met" if difference <= CLOSE else "MISSED",
        )  # fmt: skip


def fitted(name: str, size: Size, train, validation, on: str):  # noqa: ANN001, ANN201
    """Return the model of an installed method with the parameters of a preset."""
    from genebench import Context
    from genebench.plugins.discovery import load_code
    from genebench.plugins.registry import registry

    spec = registry().methods.get(name)
    method = load_code(spec.code)(**spec.values(size.preset, {}))
    return method.fit(train, {"geo": validation}, Context(device=on))["geo"]


def simulated(size: Size):  # noqa: ANN201  three Profiles
    """Return training, validation and test profiles of sixty shared factors and noise."""
    import numpy as np
    import torch

    from genebench import Profiles

    generator = torch.Generator(device()).manual_seed(0)
    genes = size.landmarks + size.targets
    options = {"generator": generator, "device": device()}
    loadings = torch.randn(60, genes, **options) / 8

    def profiles(number: int) -> Profiles:
        values = np.empty((number, genes), np.float32)
        for start in range(0, number, 4096):
            block = values[start : start + 4096]
            drawn = torch.tanh(torch.randn(len(block), 60, **options) @ loadings)
            drawn += 0.5 * torch.randn(len(block), genes, **options)
            block[:] = drawn.cpu().numpy()
        return Profiles.from_arrays(values[:, : size.landmarks], values[:, size.landmarks :])

    return tuple(profiles(number) for number in (size.train, size.others, size.others))


def run_stage(stage: str, *, tiny: bool) -> Iterator[Row]:
    """Yield the rows of a stage."""
    if stage == "tests":
        yield from tests(tiny=tiny)
    elif stage in GOALS_MS:
        yield from steps(stage, TINY if tiny else PUBLISHED)
    elif stage == "parity":
        yield from parity(TINY if tiny else PARITY)
    else:
        yield from closed_form(stage, TINY if tiny else PUBLISHED)


# The process that starts the stages


def supervised(stage: str, seconds: float, *, tiny: bool) -> list[Row]:
    """Run a stage in a process of its own. Its rows so far count if it ends early."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "rows"
        lines.touch()
        command = [sys.executable, __file__, "--stage", stage, "--out", str(lines)]
        started = time.perf_counter()
        fault = ""
        try:
            done = subprocess.run(
                [*command, *(["--tiny"] if tiny else [])], check=False, timeout=seconds
            )
            fault = f"ended with status {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            fault = f"stopped after {seconds:.0f} s"
        rows = [Row(**json.loads(line)) for line in lines.read_text("utf-8").splitlines()]
    if fault:
        rows.append(Row(stage, "the stage", fault, "to its end", "MISSED"))
    rows.append(Row(stage, "seconds of the stage", f"{time.perf_counter() - started:.0f}"))
    return rows


def table(rows: list[Row], title: str) -> str:
    """Return the table as Markdown."""
    lines = [title, "", "| stage | what | value | goal | |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (" ".join(str(cell).replace("|", "/").split()) for cell in asdict(row).values())
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def hardware() -> str:
    """Return the machine and the versions as a line."""
    import torch

    parts = [f"{os.cpu_count()} processors, {platform.system()} {platform.release()}"]
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        memory = found.total_memory / 2**30
        parts.insert(0, f"{found.name}, {memory:.0f} GiB, CUDA {torch.version.cuda}")
        parts.append(f"driver {driver()}")
    else:
        parts.insert(0, "no CUDA device")
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {metadata.version(name)}" for name in VERSIONS]
    return f"{', '.join(parts)}. {', '.join(versions)}. {time.strftime('%Y-%m-%d')}."


def driver() -> str:
    """Return the version of the driver, as its own tool prints it."""
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(query, check=True, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.split("\n")[0].strip()


def install(wheels: Path, target: Path) -> None:
    """Install all wheels of a folder into another one. No index is asked."""
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise SystemExit(f"{wheels}: no wheels. Name the folder that holds them.")
    options = "--no-index", "--no-deps", "--quiet", "--target", str(target)
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *map(str, found)], check=True)


def main(arguments: argparse.Namespace) -> int:
    """Run the stages, write the table after each, and return 1 if anything was missed."""
    if device() != "cuda" and not arguments.tiny:
        raise SystemExit("No CUDA device. Use --tiny to try this script without one.")
    end = time.perf_counter() + 60 * arguments.minutes
    rows: list[Row] = []
    for stage in arguments.stages or LIMITS_SECONDS:
        left = end - time.perf_counter()
        if left < 1:
            rows.append(Row(stage, "the stage", "no time left", "to its end", "MISSED"))
        else:
            limit = min(LIMITS_SECONDS[stage], left)
            rows += supervised(stage, limit, tiny=arguments.tiny)
        arguments.out.write_text(table(rows, hardware()), "utf-8")
        print(table(rows[-8:], stage), flush=True)
    return int(any(row.verdict == "MISSED" for row in rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", choices=[[], *LIMITS_SECONDS], help="all by default")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install first")
    parser.add_argument("--out", type=Path, default=Path("gpu.md"), help="the table to write")
    parser.add_argument("--minutes", type=float, default=20.0, help="time for all stages")
    parser.add_argument("--tiny", action="store_true", help="a tiny size, on any device")
    parser.add_argument("--stage", choices=LIMITS_SECONDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        with given.out.open("a", encoding="utf-8") as stream:
            for item in run_stage(given.stage, tiny=given.tiny):
                stream.write(json.dumps(asdict(item)) + "\n")
                stream.flush()
        sys.exit(0)
    if given.wheels:
        with tempfile.TemporaryDirectory(prefix="genebench-gpu-") as site:
            install(given.wheels, Path(site))
            # A fresh process: this one may have imported other versions already.
            again = [sys.executable, __file__, *given.stages, "--out", str(given.out)]
            again += ["--minutes", str(given.minutes), *(["--tiny"] if given.tiny else [])]
            sys.exit(subprocess.call(again, env=os.environ | {"PYTHONPATH": _with(site)}))
    sys.exit(main(given))
