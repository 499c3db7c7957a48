"""Work that a check needs done in a process of its own.

The parent names the work in one JSON argument, and sends landmarks through standard input once they
are asked for: they are nowhere in the files of the process while it fits.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genebench.conformance.base import Landmarks, Predictions


class ChildError(Exception):
    """A process came to another end than it should have; the message says how."""


@dataclass(frozen=True)
class Result:
    """What a process gave: predictions by test set, and the seconds that fitting took."""

    predictions: Predictions
    seconds: float


def ask(home: Path, request: Mapping[str, Any], landmarks: Landmarks, timeout: float) -> Result:
    """Have a process with a home of its own fit or open a model, then predict.

    Raises:
        ChildError: it failed, or was not done in time.
    """
    answer = home / "answer.npz"
    answer.unlink(missing_ok=True)
    given = io.BytesIO()
    np.savez(given, allow_pickle=False, **landmarks)
    try:
        done = run_python(
            ["-m", __name__, json.dumps({**request, "answer": str(answer)})],
            timeout=timeout, home=home, given=given.getvalue(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ChildError(f"it was not done after {timeout:.0f} seconds") from None
    if done.returncode or not answer.exists():
        raise ChildError(_last_line(done.stderr) or f"it ended with status {done.returncode}")
    with np.load(answer, allow_pickle=False) as found:
        predictions = {name: found[name] for name in landmarks}
        return Result(predictions, float(found["seconds"]))


def run_python(
    arguments: list[str], *, timeout: float, home: Path | None = None, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a Python that finds the modules that this one finds."""
    # The folder of a script or '' stands for a place that only this process knows how to resolve.
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    surroundings = os.environ | {"PYTHONPATH": path}
    if home:
        surroundings["GENEBENCH_HOME"] = str(home)
    return subprocess.run(  # noqa: S603  this Python, and modules that it has already
        [sys.executable, *arguments],
        input=given, capture_output=True, timeout=timeout, env=surroundings, check=False,
    )  # fmt: skip


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _main(request: Mapping[str, Any]) -> None:
    models, seconds = (_opened if "model" in request else _fitted)(request)
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as sent:
        predictions = {name: np.asarray(models[name].predict(sent[name])) for name in sent.files}
    np.savez(request["answer"], allow_pickle=False, seconds=seconds, **predictions)


def _fitted(request: Mapping[str, Any]) -> tuple[Mapping[str, Any], float]:
    from genebench.conformance.subject import (
        Subject,
        fit,
        open_training_set,
        open_validation_sets,
        opened,
    )

    subject = Subject(request["method"])
    # Imports take their time on a busy machine, and are no part of a fit.
    subject.create(request["params"])
    given = open_training_set(opened()), open_validation_sets(opened())
    began = time.monotonic()
    models = fit(subject, *given, params=request["params"])
    return models, time.monotonic() - began


def _opened(request: Mapping[str, Any]) -> tuple[Mapping[str, Any], float]:
    from genebench.models.saved import open_model

    paths, device = request["model"], request["device"]
    return {name: open_model(path, device).model for name, path in paths.items()}, 0.0


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
