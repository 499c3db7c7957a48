"""``genebench tune``: choose parameters on the validation set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from genebench.cli import output
from genebench.cli.completion import names_of
from genebench.cli.limits import MemoryLimitOption, ResourcesOption, TimeLimitOption
from genebench.cli.options import (
    DEFAULT_RESULTS,
    DatasetOption,
    DeviceOption,
    EngineOption,
    EngineSetOption,
    JsonOption,
    PluginOption,
    PresetOption,
    ProtocolsOption,
    QuietOption,
    ResultsOption,
    SealedOption,
    SetOption,
    grid_of,
    overrides_of,
)
from genebench.cli.progress import bar, jobs_shown
from genebench.cli.reporting import print_results
from genebench.cli.run import check_resources, expected_times, settings_of, status_of
from genebench.errors import UserError, some
from genebench.specs import ALL

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from genebench.runs.jobs import Job
    from genebench.runs.tune import Tuned


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "tune",
        short_help="Choose parameters on the validation set, then test the choice.",
        epilog="Example: genebench tune --method knn --grid k_max=5,10,50 --protocol geo",
    )(tune)


def tune(  # noqa: PLR0917  typer's options are the arguments
    method: Annotated[
        str,
        typer.Option(
            "--method", "--methods", help="The method to tune.", autocompletion=names_of("methods")
        ),
    ],
    grid: Annotated[
        list[str], typer.Option(metavar="PARAM=VALUE,…", help="Values to try. Repeatable.")
    ],
    protocol: ProtocolsOption = "geo,gtex",
    dataset: DatasetOption = "sim",
    preset: PresetOption = None,
    set_: SetOption = None,
    random: Annotated[
        int | None,
        typer.Option(metavar="N", help="Draw N candidates at random. Default: every combination."),
    ] = None,
    halving: Annotated[
        bool, typer.Option("--halving", help="Drop most candidates after a fraction of the epochs.")
    ] = False,
    device: DeviceOption = "auto",
    engine: EngineOption = None,
    engine_set: EngineSetOption = None,
    resources: ResourcesOption = None,
    sealed: SealedOption = None,
    time_limit_: TimeLimitOption = None,
    memory_limit_: MemoryLimitOption = None,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    results: ResultsOption = DEFAULT_RESULTS,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Fit every candidate, compare them on the validation set, and test the choice.

    Test profiles are scored once, for the choice. Issue the same command to continue.
    """
    from json import loads

    from genebench import api
    from genebench.analysis.tidy import tidy
    from genebench.analysis.vectors import Readable
    from genebench.datasets.library import open_dataset
    from genebench.plugins.registry import registry
    from genebench.results.store import ResultsStore
    from genebench.runs.config import preferred
    from genebench.runs.plan import on_platforms
    from genebench.runs.tune import Search
    from genebench.tasks import run_search

    engine, settings = settings_of(
        engine, device, time_limit_, memory_limit_, engine_set=engine_set, resources=resources,
        sealed=sealed, results=results,
    )  # fmt: skip
    preset = preset or preferred("preset")
    if method == ALL or "," in method:
        raise UserError(f"--method {method}: one method is tuned at a time. Name one.")
    spec = registry().methods.get(method)
    check_resources(
        resources,
        [method, *(item.name for item in registry().methods.specs.values() if item.control)],
    )
    chosen = registry().protocols.choose(protocol.split(","))
    if ALL in protocol.split(","):
        with bar(quiet=quiet) as progress:
            opened = open_dataset(dataset, registry().datasets, preset, progress)
        chosen = on_platforms(chosen, opened.platforms)
    fixed = overrides_of(set_ or ())
    preset = api.preset_of(dataset, preset)
    axes = grid_of(grid, method)
    if others := axes.keys() - {method}:
        raise UserError(f"--grid: {some(others)} is not the method to tune. Leave it out.")
    search = Search(
        method=spec, preset=preset, grid=axes.get(method, {}), fixed=fixed.get(method, {}),
        number=random, halving=halving,
    )  # fmt: skip

    def executing(jobs: list[Job]) -> AbstractContextManager[object]:
        expected = {} if quiet else expected_times(jobs, settings, engine)
        return jobs_shown(len(jobs), quiet=quiet, expected=expected)

    tuned = run_search(
        search, [item.name for item in chosen], dataset, settings, engine,
        of_others=fixed, planning=partial(bar, quiet=quiet), executing=executing,
    )  # fmt: skip
    if json:
        output.as_json(
            {
                "trials": loads(tuned.trials.to_json(orient="records")),
                "scores": loads(tidy(tuned.records).to_json(orient="records")),
            }
        )
    else:
        _print_trials(tuned)
        for remark in tuned.edges(search.grid):
            output.line(remark)
        # As genebench run prints them.
        print_results(
            "summary", tuned.records, vectors_of=Readable(ResultsStore(results).vectors),
            with_costs=False, with_notes=False,
        )  # fmt: skip
    return status_of(tuned.records)


def _print_trials(tuned: Tuned) -> None:
    """Print a table of trials for each protocol: the choice first, then by error."""
    for name, trials in tuned.trials.groupby("protocol", sort=False):
        output.line(f"{name}: {len(trials)} trials, by MAE on the validation set")
        shown = trials.drop(columns=["protocol", "chosen", "key"]).dropna(axis=1, how="all")
        rows = [
            (*map(str, row[:-1]), f"{row[-1]:.4f}", "chosen" if chosen else "")
            for row, chosen in sorted(
                zip(shown.itertuples(index=False), trials["chosen"], strict=True),
                key=lambda item: (not item[1], item[0][-1]),
            )
        ]
        output.table((*shown.columns, ""), rows)
