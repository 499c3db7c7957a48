"""Functions of single commands for Python: report, ranks, leaks, tune, predict, prepare."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from genebench import api
from genebench._util.notebook import draws
from genebench._util.progress import Progress
from genebench.analysis.comparisons import Comparisons, compare
from genebench.analysis.vectors import Readable
from genebench.api import Names, explain, listed, load, records, run
from genebench.data.standardisation import ValueKind
from genebench.data.store import Dataset
from genebench.datasets.library import check_new_name, open_dataset
from genebench.datasets.manifest import read_manifest
from genebench.datasets.paired import PairedAssays, pair
from genebench.datasets.published_arrays import PreparedArrays, adopt
from genebench.errors import UserError, no_results
from genebench.explaining.explanation import Explanation
from genebench.explaining.making import explained
from genebench.formats.base import Orientation
from genebench.formats.opening import open_reader
from genebench.models.predict import Missing
from genebench.models.predict import predict as write_predictions
from genebench.models.saved import SavedModel, open_model
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.preprocessing.compendium import IdKind
from genebench.preprocessing.recipe import prepare as run_recipe
from genebench.reports.figures import relevance, scatter
from genebench.reports.figures.drawing import write_drawings
from genebench.reports.report import SHOWN_METRICS, Report
from genebench.results import DEFAULT_RESULTS
from genebench.results.filters import RecordFilter
from genebench.results.naming import model_file
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Job, Settings, default_seal
from genebench.runs.live import jobs_line, work_line
from genebench.runs.plan import Plan
from genebench.runs.suite import check_lists, grid_texts, texts
from genebench.runs.tune import Point, Search, Tuned
from genebench.runs.tune import tune as search_and_test
from genebench.specs import DeviceChoice

draws(Comparisons, lambda made, folder: write_drawings(scatter.drawings(made), folder))
draws(Explanation, relevance.draw)


def report(
    name: str = "scores",
    argument: str = "",
    *,
    results: Path | str = DEFAULT_RESULTS,
    methods: Names | None = None,
    protocols: Names | None = None,
    dataset: str | None = None,
    metrics: Names = SHOWN_METRICS,
    trials: bool = False,
) -> Report:
    """Return a report of a results folder. A notebook shows its tables.

    ``.values()`` is the content as a table for programs, ``.sections()`` that for people, and
    ``.plot()`` draws the figures that some reports have.

    Args:
        name: the report, such as ``scores``, ``ranks``, ``cost`` or ``sizes``.
        argument: what the report needs besides its name, such as a suite.
        results: folder of the results.
        methods: only these.
        protocols: only these.
        dataset: only this.
        metrics: the metrics to show.
        trials: whether trials of tuning are shown, too.

    Raises:
        UserError: an unknown name, an argument that is missing, or nothing to show.
    """
    spec = registry().reports.get(name)
    if bool(spec.argument) != bool(argument):
        needs = f"needs an argument: {spec.argument}" if spec.argument else "takes no argument"
        raise UserError(f"Report {name} {needs}. Correct the call.")
    everything = records(results).records
    if not everything:
        raise no_results("show", results)
    kinds = RecordFilter(trials=None if trials else False)
    chosen = RecordFilter(
        dataset, protocols, methods, trials=None if trials else False
    ).apply(everything)  # fmt: skip
    made: Report = load_code(spec.code)(
        tuple(chosen),
        registry(),
        all_records=tuple(kinds.apply(everything)),
        metrics=metrics.split(",") if isinstance(metrics, str) else list(metrics),
        vectors_of=Readable(ResultsStore(Path(results)).vectors),
        explanation_of=partial(explained, results=results),
        argument=argument,
    )
    made.check()
    return made


def ranks(**options: Any) -> Report:
    """Return the report of ranks: places by a test between methods, with ties.

    Args:
        options: as for :func:`report`.

    Raises:
        UserError: as :func:`report`.
    """
    return report("ranks", **options)


def leaks(**options: Any) -> Report:
    """Return the report of leaks: the difference between a protocol and its variants.

    Args:
        options: as for :func:`report`.

    Raises:
        UserError: as :func:`report`, or no method was run under a protocol and its variant.
    """
    return report("leaks", **options)


def tune(
    method: str,
    grid: Mapping[str, Sequence[Any]],
    protocols: Names = ("geo", "gtex"),
    dataset: str = "sim",
    *,
    preset: str | None = None,
    params: Mapping[str, Any] | None = None,
    number: int | None = None,
    halving: bool = False,
    results: Path | str = DEFAULT_RESULTS,
    device: DeviceChoice = "auto",
    engine: str | None = None,
) -> Tuned:
    """Try parameters on the validation set, choose some for each protocol, and test the choice.

    Args:
        method: the method.
        grid: parameter → values to try.
        protocols: names of protocols.
        dataset: a built-in or prepared dataset.
        preset: ``tiny``, ``small`` or ``paper``. By default, the dataset suggests one.
        params: parameter → value in every candidate.
        number: how many candidates to draw at random. None takes every combination.
        halving: whether most candidates are dropped after a fraction of the epochs.
        results: folder of the results.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: where jobs are executed, as for :func:`run`.

    Returns:
        The trials as a table (``.trials``), and the records of the choices.

    Raises:
        UserError: an unknown name or parameter, fewer than two candidates, or no candidate that
            could be fitted.
    """
    size = api.preset_of(dataset, preset)
    engine, settings = api.configure(
        Settings(results=Path(results), device=api.device_choice(device), sealed=default_seal()),
        engine,
    )
    spec, fixed = registry().methods.get(method), params or {}
    points = grid_texts(grid)
    check_lists(spec, fixed, grid)
    search = Search(
        method=spec, preset=size, grid=points, fixed=texts(fixed), number=number, halving=halving,
    )  # fmt: skip
    names = [spec.name for spec in registry().protocols.choose(listed(protocols))]
    return run_search(search, names, dataset, settings, engine)


def run_search(
    search: Search,
    protocols: Sequence[str],
    dataset: str,
    settings: Settings,
    engine: str,
    *,
    of_others: Mapping[str, Mapping[str, str]] | None = None,
    planning: Callable[[], AbstractContextManager[Progress]] = work_line,
    executing: Callable[[list[Job]], AbstractContextManager[Any]] = lambda jobs: jobs_line(
        len(jobs)
    ),
) -> Tuned:
    """Fit and compare the candidates of a search, and test the choice for each protocol.

    Args:
        search: the candidates, and how they are tried.
        protocols: names of protocols.
        dataset: a built-in or prepared dataset.
        settings: how jobs are executed. Its results folder holds the trials.
        engine: the engine that executes them.
        of_others: method → parameter → value, as typed, of methods that the method is made of.
        planning: shows the progress of a plan, which may have to build the dataset.
        executing: shows the progress of jobs.

    Raises:
        UserError: as :func:`tune`.
    """
    method = search.method.name

    def plan(point: Point, names: Sequence[str], trials: bool) -> Plan:
        with planning() as progress:
            return api.plan_run(
                [method], names, dataset, preset=search.preset, seeds=1, results=settings.results,
                trials=trials, sealed=settings.sealed, progress=progress,
                overrides={**(of_others or {}), method: {**search.fixed, **point}},
            )  # fmt: skip

    def execute(candidates: Plan) -> None:
        jobs = candidates.remaining()
        with executing(jobs):
            for _ in api.execute_plan(jobs, settings, engine):
                pass

    return search_and_test(search, protocols, plan, execute, ResultsStore(settings.results))


def predict(
    model: SavedModel | Path | str,
    profiles: pd.DataFrame | Path | str,
    *,
    file: Path | str | None = None,
    ids: IdKind = "ensembl",
    aliases: Path | str | None = None,
    values: ValueKind = "expression",
    orientation: Orientation = "genes",
    normalise: bool = False,
    missing: Missing = "error",
    device: DeviceChoice = "auto",
    results: Path | str = DEFAULT_RESULTS,
) -> pd.DataFrame | Path:
    """Infer the target genes of new profiles with a saved model.

    Args:
        model: an open model, its file, its key, or ``METHOD@PROTOCOL``.
        profiles: a table of profiles × genes, or a file in any format.
        file: file to write. Its suffix gives the format. None returns a table.
        ids: kind of the gene ids: ``ensembl``, ``symbol``, ``probe`` or ``entrez``.
        aliases: table of other ids of genes, which ``entrez`` needs.
        values: ``expression`` (normalised, log2) or ``standardised``.
        orientation: meaning of the rows of a file that is a table: ``genes`` or ``profiles``.
        normalise: whether each profile is given the quantiles of the training profiles, by rank.
        missing: ``mean`` to take training means for landmarks that are missing, or ``error``.
        device: ``auto``, ``cpu`` or ``cuda``.
        results: folder of the results, for a model that is named by its record.

    Returns:
        Profiles × target genes in the units of the landmarks, or the file that was written.

    Raises:
        UserError: there is no such model, a landmark is missing, or a value is not on its scale.
    """
    if not isinstance(model, SavedModel):
        model = open_model(model_file(str(model), Path(results)), api.device_choice(device))
    with tempfile.TemporaryDirectory(prefix="genebench-") as temporary:
        if isinstance(profiles, pd.DataFrame):
            source = Path(temporary) / "profiles.csv"
            profiles.to_csv(source, index_label="profile")
            orientation = "profiles"
        else:
            source = Path(profiles)
        target = Path(file) if file else Path(temporary) / "targets.csv"
        with work_line() as progress:
            written = write_predictions(
                model, open_reader(source, orientation).with_ids(ids), target, ids=ids,
                aliases=Path(aliases) if aliases else None, values=values, normalise=normalise,
                missing=missing, progress=progress,
            )[-1]  # fmt: skip
        if file:
            return written
        # The file has a row for each gene, with its symbol.
        table = pd.read_csv(written, index_col=0).drop(columns="symbol")
    return table.T.rename_axis(index="profile", columns="gene")


def prepare(
    source: Path | str, *, preset: str | None = None, progress: Progress | None = None
) -> Dataset:
    """Prepare a dataset: match, check and normalise its profiles, and store them.

    Args:
        source: a manifest, or the name of a dataset that a plugin offers.
        preset: size of the dataset, where it has several.
        progress: called while it is prepared. By default, a notebook shows a line.

    Returns:
        The dataset. :func:`load` and :func:`run` take its name.

    Raises:
        UserError: the manifest or a file of it is wrong, or there is no such dataset.
    """
    if progress is None:
        with work_line() as shown:
            return prepare(source, preset=preset, progress=shown)
    if str(source) in registry().datasets.specs:
        return open_dataset(str(source), registry().datasets, preset, progress, force=True)
    manifest = read_manifest(Path(source))
    check_new_name(manifest.name, registry().datasets)
    if isinstance(manifest, PreparedArrays):
        return adopt(manifest, progress=progress)
    if isinstance(manifest, PairedAssays):
        return pair(manifest, progress=progress)
    return run_recipe(manifest, progress=progress)


__all__ = [
    "compare",
    "explain",
    "leaks",
    "load",
    "open_model",
    "predict",
    "prepare",
    "ranks",
    "records",
    "report",
    "run",
    "tune",
]
