"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ResultsOption = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Folder of the results.")
]
DEFAULT_RESULTS = Path("results")
