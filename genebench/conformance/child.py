"""Subprocesses of checks: a fit in another home, or a saved model in a fresh process.

The parent sends a request as one JSON argument. It sends the landmarks of the test profiles through
standard input, which the child reads only after the fit. So they are in no file during the fit.
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

from genebench._util.subprocesses import import_path
from genebench.conformance.base import Landmarks, Models, Predictions
from genebench.specs import values_from_json


class ChildError(Exception):
    """A child process failed or exceeded its time. The message is the reason."""


@dataclass(frozen=True)
class Result:
    """The result of a child process.

    Attributes:
        predictions: test set → predictions, profiles × targets.
        seconds: wall time of the fit, 0 if there was none.
    """

    predictions: Predictions
    seconds: float


def ask(home: Path, request: Mapping[str, Any], landmarks: Landmarks, timeout: float) -> Result:
    """Fit a method or open a saved model in a child process, and return its predictions.

    Args:
        home: the genebench home of the child.
        request: ``method`` and ``params`` to fit, or ``model`` and ``device`` to open.
        landmarks: test set → landmarks to predict from, profiles × landmarks.
        timeout: seconds that the child may take.

    Raises:
        ChildError: the child failed, or was not done in time.
    """
    answer = home / "answer.npz"
    answer.unlink(missing_ok=True)
    stream = io.BytesIO()
    # numpy 2.0 has no allow_pickle, which would tell the types apart.
    np.savez(stream, **landmarks)  # type: ignore[arg-type]
    try:
        done = run_python(
            ["-m", __name__, json.dumps({**request, "answer": str(answer)})],
            timeout=timeout, home=home, stdin=stream.getvalue(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ChildError(f"it was not done after {timeout:.0f} seconds") from None
    if done.returncode or not answer.exists():
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        # The last line of a traceback is the error.
        raise ChildError(lines[-1] if lines else f"it ended with status {done.returncode}")
    with np.load(answer, allow_pickle=False) as arrays:
        predictions = {name: arrays[name] for name in landmarks}
        return Result(predictions, float(arrays["seconds"]))


def run_python(
    arguments: list[str], *, timeout: float, home: Path | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a Python process that imports from the same folders as this one.

    Raises:
        subprocess.TimeoutExpired: it was not done in time.
    """
    environment = os.environ | {"PYTHONPATH": import_path()}
    if home:
        environment["GENEBENCH_HOME"] = str(home)
    return subprocess.run(  # noqa: S603  this Python, and modules that it has already
        [sys.executable, *arguments],
        input=stdin, capture_output=True, timeout=timeout, env=environment, check=False,
    )  # fmt: skip


def _main(request: Mapping[str, Any]) -> None:
    if "model" in request:
        models, seconds = _open_models(request), 0.0
    else:
        models, seconds = _fit(request)
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as sent:
        predictions = {name: np.asarray(models[name].predict(sent[name])) for name in sent.files}
    np.savez(request["answer"], seconds=seconds, **predictions)  # type: ignore[arg-type]


def _fit(request: Mapping[str, Any]) -> tuple[Models, float]:
    """Fit a method, and return its models and the seconds that the fit took."""
    from genebench.conformance.method_under_check import MethodUnderCheck
    from genebench.conformance.temporary_home import open_training_set, open_validation_sets

    method = MethodUnderCheck(request["method"])
    # Importing torch takes seconds on a busy machine, and is not part of the fit.
    params = values_from_json(request["params"])
    method.create(params)
    train, validation_sets = open_training_set(), open_validation_sets()
    began = time.monotonic()
    models = method.fit(train, validation_sets, params)
    return models, time.monotonic() - began


def _open_models(request: Mapping[str, Any]) -> Models:
    from genebench.models.saved import open_model

    paths, device = request["model"], request["device"]
    return {name: open_model(path, device).model for name, path in paths.items()}


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
