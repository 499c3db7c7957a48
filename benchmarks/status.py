"""``genebench status`` of a folder with 10,000 records, on one core.

Claim: it answers in less than two seconds. Records are copies of real ones, each with its own seed,
key and checksum. The real ones come from a run of ``sim`` at preset ``tiny``: a closed-form method,
a network with its learning curves, and the controls. Every fiftieth is a failed record.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genebench.cli.exit_status import OK

if TYPE_CHECKING:
    from genebench.results.record import Identity, Record

METHODS = ("lsr", "dgex")
RUNS = 5
VARIANTS = {
    "status": [],
    "status --all": ["--all"],
    "status --json": ["--json"],
}


def copy_of(record: Record, identity: Identity, **changes: Any) -> Record:
    """Return a record with another identity, and the key and checksum that follow from it."""
    from genebench._util.hashing import key_of

    changes |= {"identity": identity, "key": key_of(identity.model_dump())}
    return record.model_copy(update=changes).with_checksum()


def write(folder: Path, number: int) -> None:
    """Write real records, and copies of them into a results folder.

    Each copy has an empty file of vectors, because status reads none.
    """
    from genebench import api
    from genebench.results.record import Failure
    from genebench.results.store import ResultsStore

    made = folder / "made"
    records = api.run(METHODS, dataset="sim", preset="tiny", results=made).records
    failure = Failure(kind="MemoryError", message="no memory left", traceback="a line\n" * 40)
    failed = {"status": "failed", "failure": failure, "scores": {}, "vectors": ""}
    store = ResultsStore(folder / "copies")
    store.prepare()
    for index in range(number):
        record = records[index % len(records)]
        identity = record.identity.model_copy(update={"seed": index})
        copy = copy_of(record, identity, **(failed if index % 50 == 0 else {}))
        if copy.vectors:
            store.paths.new(copy.key, copy.vectors).touch()
        store.paths.record(copy.key).write_text(copy.model_dump_json(indent=1))


def measured(command: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, processor seconds and peak MB of a command in a new process."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != OK:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    seconds = time.perf_counter() - start
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--write", type=Path, help="write the records to this folder, and end")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.records)
        raise SystemExit
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    with tempfile.TemporaryDirectory() as name:
        # In another process: the peak of a process counts from that of the one which started it.
        command = [sys.executable, __file__, "--write", name, "--records", str(arguments.records)]
        subprocess.run(command, check=True)
        folder = Path(name) / "copies"
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{arguments.records:,} records, {size / 1e6:.0f} MB")
        for variant, options in VARIANTS.items():
            status = ["status", "--results", str(folder), *options]
            runs = [measured([sys.executable, "-m", "genebench", *status]) for _ in range(RUNS)]
            wall, processor, peak = map(statistics.median, zip(*runs, strict=True))
            print(f"{variant:15} {wall:5.2f} s, processor {processor:5.2f} s, peak {peak:4.0f} MB")
