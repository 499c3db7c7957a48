"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genebench.results import DEFAULT_RESULTS

__all__ = ["DEFAULT_RESULTS", "ResultsOption"]

ResultsOption = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Folder of the results.")
]
