"""One job as a run in MLflow's file store, a folder of small text files.

<root>/<experiment>/meta.yaml                one experiment for each dataset, by its digest
<root>/<experiment>/<run>/meta.yaml          state and times
<root>/<experiment>/<run>/params/<name>      the value
<root>/<experiment>/<run>/metrics/<name>     lines of: milliseconds value step
<root>/<experiment>/<run>/tags/<name>        the value
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genebench.results.record import Record
from genebench.runs.jobs import Job

FOLDER = "MLFLOW_TRACKING_DIR"
"""Environment variable: folder of all experiments. ``mlruns`` by default."""
RUNNING, FINISHED, FAILED = 1, 3, 4
"""MLflow's numbers for the states of a run."""
_LOCAL = 4
"""MLflow's number for code that ran on the local machine."""
_ERROR = re.compile(r"([\w.-]+) (\d+\.\d+(?:e[+-]?\d+)?)")
"""Name and error in a message such as ``epoch 3 of 9, MAE train 0.4012, geo 0.4107``."""

Point = tuple[float, int]
"""A value and its step."""


def root() -> Path:
    """Return the folder of all experiments."""
    return Path(os.environ.get(FOLDER) or "mlruns").resolve()


class Run:
    """The run of a job. Its name is a hash of the keys of the job's records.

    The same job therefore has the same run, in any process that observes it.
    """

    def __init__(self, job: Job) -> None:
        keys = " ".join(sorted(evaluation.key for evaluation in job.evaluations))
        self.job = job
        self.id = hashlib.sha256(keys.encode()).hexdigest()[:32]
        self.experiment = root() / f"{int(job.data, 16) % 10**18:018d}"
        self.folder = self.experiment / self.id

    def begin(self) -> None:
        """Create the folder anew, with parameters and names."""
        job = self.job
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("params", "metrics", "tags", "artifacts"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        about = {"method": job.method.name, "dataset": job.dataset, "preset": job.preset}
        for name, value in {**about, "seed": job.seed, **job.params}.items():
            self._put("params", name, str(value))
        self._put("tags", "mlflow.runName", job.label)
        for evaluation in job.evaluations:
            self._put("tags", f"key.{evaluation.protocol.name}", evaluation.key)
        self._describe_experiment()
        self._describe(RUNNING, _now(), None)

    def progressed(self, done: int, total: int, message: str) -> None:
        """Log the share of steps done, and each error that follows ``MAE`` in the message."""
        self._log("progress", [(done / max(total, 1), done)])
        for name, error in _ERROR.findall(message.partition("MAE ")[2]):
            self._log(f"live/{name}", [(float(error), done)])

    def end(self, records: Iterable[Record]) -> None:
        """Log curves and scores of the records. The run has failed if a record has."""
        status = FINISHED
        for record in records:
            protocol = record.identity.protocol
            if record.failure:
                status = FAILED
                reason = f"{record.failure.kind}: {record.failure.message}"
                self._put("tags", f"failure.{protocol}", reason)
            for name, value in record.choices.items():
                self._put("tags", f"chosen.{protocol}.{name}", str(value))
            for name, points in _points(record).items():
                self._log(name, points)
        self._describe(status, self._started(), _now())

    def _log(self, name: str, points: Iterable[Point]) -> None:
        path = self.folder / "metrics" / _safe(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        now = _now()
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{now} {value} {step}\n" for value, step in points)

    def _put(self, part: str, name: str, value: str) -> None:
        (self.folder / part / _safe(name).replace("/", "_")).write_text(value, "utf-8")

    def _describe_experiment(self) -> None:
        if (self.experiment / "meta.yaml").exists():
            return
        now = _now()
        content = {
            "artifact_location": self.experiment.as_uri(), "creation_time": now,
            "experiment_id": self.experiment.name, "last_update_time": now,
            "lifecycle_stage": "active", "name": f"{self.job.dataset} {self.job.data}",
        }  # fmt: skip
        _write_yaml(self.experiment, content)

    def _describe(self, status: int, started: int, ended: int | None) -> None:
        content = {
            "artifact_uri": (self.folder / "artifacts").as_uri(), "end_time": ended,
            "entry_point_name": "", "experiment_id": self.experiment.name,
            "lifecycle_stage": "active", "run_id": self.id, "run_name": self.job.label,
            "run_uuid": self.id, "source_name": "", "source_type": _LOCAL, "source_version": "",
            "start_time": started, "status": status, "tags": [], "user_id": "",
        }  # fmt: skip
        _write_yaml(self.folder, content)

    def _started(self) -> int:
        text = (self.folder / "meta.yaml").read_text("utf-8")
        line = re.search(r"^start_time: (\d+)$", text, re.MULTILINE)
        return int(line[1]) if line else _now()


def _points(record: Record) -> dict[str, list[Point]]:
    """Return the numbers of a record: name in the log → points."""
    protocol = record.identity.protocol
    points = {
        f"curve/{protocol}/{curve}/{column}": [
            (value, step) for step, value in enumerate(values, 1)
        ]
        for curve, columns in record.curves.items()
        for column, values in columns.items()
    }
    for metric, panels in record.scores.items():
        for panel, score in panels.items():
            points[f"test/{protocol}/{metric}/{panel}"] = [(score.mean, 0)]
    for phase, seconds in record.seconds.items():
        points[f"seconds/{protocol}/{phase}"] = [(seconds, 0)]
    return points


def _safe(name: str) -> str:
    """Return a name with only characters that MLflow allows. A curve's column may have any name."""
    parts = [re.sub(r"[^\w. -]", "_", part).strip(". ") or "_" for part in name.split("/")]
    return "/".join(parts)


def _write_yaml(folder: Path, content: dict[str, Any]) -> None:
    """Write a file of YAML. Values of JSON are values of YAML, too."""
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in content.items()]
    # Renamed at the end, so that MLflow never reads half a file.
    draft = folder / f".meta.{os.getpid()}.tmp"
    try:
        draft.write_text("".join(lines), "utf-8")
        draft.replace(folder / "meta.yaml")
    finally:
        draft.unlink(missing_ok=True)


def _now() -> int:
    return time.time_ns() // 1_000_000
