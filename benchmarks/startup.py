"""Start-up of the command line against its nearest peer: importing what every run needs anyway.

Claim: ``genebench --help`` and ``genebench list methods`` cost a small share of importing pandas
and torch, because they import neither. Twenty plugins more keep listing below 0.8 s.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
PLUGINS = 20
LIST = "from genebench.cli import main; main(['list', 'methods'])"
COMMANDS = {
    "genebench --help": "from genebench.cli import main; main(['--help'])",
    "genebench list methods": LIST,
    f"the same, {PLUGINS} plugins more": LIST,
    "python (nothing)": "",
    "import pandas, torch": "import pandas, torch",
}
MODULE = """
from genebench import hookimpl
from genebench.specs import MethodSpec, Param
genebench_contract = 1
PARAMS = tuple(Param(name=f"p{{i}}", default=1.0, minimum=0, help="h") for i in range(5))
@hookimpl
def genebench_methods():
    return [
        MethodSpec(name=f"{name}-{{i}}", title="t", summary="s", code="{name}:M", params=PARAMS)
        for i in range(3)
    ]
"""


def install(site: Path, name: str) -> None:
    """Write a distribution as an installer does: a package, and its entry point."""
    package, info = site / name, site / f"{name}-1.0.dist-info"
    package.mkdir()
    (package / "__init__.py").write_text(MODULE.format(name=name))
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[genebench]\n{name} = {name}\n")


def seconds(code: str, site: str) -> tuple[float, float]:
    """Return the median wall and processor time of a fresh interpreter that runs the code."""
    wall, processor = [], []
    command = [sys.executable, "-c", code]
    for _ in range(RUNS):
        start = time.perf_counter()
        with subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": site}, stdout=subprocess.DEVNULL
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        wall.append(time.perf_counter() - start)
        processor.append(usage.ru_utime + usage.ru_stime)
    return statistics.median(wall), statistics.median(processor)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PLUGINS):
            install(Path(folder), f"plugin{number}")
        times = {
            name: seconds(code, folder if "plugins more" in name else "")
            for name, code in COMMANDS.items()
        }
    peer = times["import pandas, torch"][1]
    for name, (wall, processor) in times.items():
        share = processor / peer
        print(f"{name:29} {wall:5.2f} s, processor {processor:5.2f} s: {share:5.2f} of the imports")
