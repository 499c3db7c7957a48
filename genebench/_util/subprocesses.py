"""Help for subprocesses that import the same modules as this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def import_path() -> str:
    """Return the import path of this process, to be ``PYTHONPATH`` of a subprocess.

    The entries are absolute. An entry of ``sys.path`` may be relative, or empty for the current
    folder, and a subprocess may start in another one. Python skips an empty entry of
    ``PYTHONPATH``. Start the subprocess with ``-P``, so that Python adds no other folder in front.
    """
    return os.pathsep.join(str(Path.cwd() / entry) for entry in sys.path)
