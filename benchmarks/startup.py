"""Start-up of the command line against its nearest peer: importing what every run needs anyway.

Claim: ``genebench --help`` and ``genebench list methods`` cost a small share of importing pandas
and torch, because they import neither.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 7
COMMANDS = {
    "genebench --help": "from genebench.cli import main; main(['--help'])",
    "genebench list methods": "from genebench.cli import main; main(['list', 'methods'])",
    "python (nothing)": "",
    "import pandas, torch": "import pandas, torch",
}


def seconds(code: str) -> float:
    """Median wall time of a fresh interpreter that runs the code."""
    spent = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


if __name__ == "__main__":
    found = {name: seconds(code) for name, code in COMMANDS.items()}
    peer = found["import pandas, torch"]
    for name, value in found.items():
        print(f"{name:24} {value:6.2f} s   {value / peer:5.2f} of importing pandas and torch")
