"""Building a site: read the records, summarise their vectors, write the files, publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from genebench.errors import some
from genebench.leaderboard.contents import Contents
from genebench.leaderboard.folds import with_folds_pooled
from genebench.leaderboard.pages import SiteOptions
from genebench.leaderboard.pool import pool_for
from genebench.leaderboard.publish import check_place, staging
from genebench.leaderboard.reading import no_record, read
from genebench.leaderboard.site import UnshownRunsError, write_site
from genebench.leaderboard.vectors import claims_of, share_ids, summarise
from genebench.plugins.registry import registry
from genebench.results.store import ResultsStore

TITLE = "genebench leaderboard"
METRICS = ("mae", "cc")


@dataclass(frozen=True)
class Built:
    """A site that was built.

    Attributes:
        index: path of its first page.
        boards: number of boards.
        runs: number of runs that are shown.
        problems: one line for each record or folder that is not shown.
    """

    index: Path
    boards: int
    runs: int
    problems: tuple[str, ...]


def build(
    folders: Sequence[Path], out: Path, *, metrics: Sequence[str] = METRICS, title: str = TITLE
) -> Built:
    """Build a site of results folders. It replaces an earlier site at ``out`` in one step.

    Args:
        folders: results folders. A record that several of them have is shown once.
        out: folder of the site.
        metrics: columns of scores. The first one ranks the methods.
        title: title of the site.

    Returns:
        What was built. A damaged record is a problem, and the other records are shown.

    Raises:
        UserError: ``out`` holds something else than a site, a metric is unknown, or there is no
            record to show.
    """
    check_place(out)
    options = SiteOptions(title, tuple(registry().metrics.choose(metrics)))
    n_records = sum(len(ResultsStore(folder).keys()) for folder in folders)
    # Workers start and import while this process reads the records.
    with pool_for(n_records) as pool:
        reading = read(folders)
        names = [metric.name for metric in options.metrics]
        claims = (claims_of(run, names) for run in reading.runs)
        summaries = share_ids(pool.map(partial(summarise, metrics=names), claims))
        pairs = list(zip(reading.runs, summaries, strict=True))
        problems = (*reading.problems, *(s.fault for s in summaries if s.fault))
        shown = {run.key: (run, summary) for run, summary in pairs if not summary.fault}
        while shown:
            contents = Contents(options, registry(), with_folds_pooled(shown), pool)
            faults = [each for each in contents.explanations.values() if isinstance(each, str)]
            try:
                with staging(out) as folder:
                    write_site(
                        contents,
                        folder,
                        (*problems, *faults),
                        trials=reading.trials,
                        n_folders=len(folders),
                    )
            except UnshownRunsError as error:
                # Ranks and other pages depend on these runs, so all is built again without them.
                # This is rare: faults of records are found when they are read.
                problems = (*problems, *error.faults.values())
                shown = {key: pair for key, pair in shown.items() if key not in error.faults}
            else:
                return Built(
                    out / "index.html", len(contents.boards), len(shown), (*problems, *faults)
                )
    raise no_record(some(problems, 1) or "All records are trials of tuning. Run a benchmark first.")
