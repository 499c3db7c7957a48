"""``genebench explain``: which landmarks a model's predictions rest on."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from genebench.cli import output
from genebench.cli.options import (
    DEFAULT_RESULTS,
    DeviceOption,
    PluginOption,
    PresetOption,
    ResultsOption,
    SilentOption,
)
from genebench.cli.progress import bar, jobs_shown
from genebench.errors import UserError, some

if TYPE_CHECKING:
    import pandas as pd

    from genebench.data.store import Dataset
    from genebench.explaining.enrichment import GeneSets
    from genebench.explaining.explanation import Explanation
    from genebench.explaining.gene import GeneExplanation
    from genebench.explaining.settings import Settings
    from genebench.explaining.subject import Subject, Wanted
    from genebench.runs.jobs import Settings as JobSettings
    from genebench.runs.plan import Plan
    from genebench.specs import ProtocolSpec

_SHOWN_LANDMARKS = 5
"""Landmarks of a cluster that the terminal shows. The tables have all that were asked for."""
_SHOWN_DRIVERS = 20
"""Landmarks of a gene, or training profiles, that the terminal shows. JSON has all."""
_SHOWN_SETS = 10
"""Gene sets that the terminal shows."""
_FALSE_DISCOVERIES = 0.05
"""False discovery rate up to which a gene set counts as over-represented."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "explain",
        short_help="Show which landmarks a model's predictions rest on.",
        epilog="Example: genebench explain ggan --protocol gtex --dataset u133 --out figure3",
    )(explain)


class _Request(NamedTuple):
    """What is asked for: the subject, and one of panels, a gene or a profile."""

    wanted: Wanted
    settings: Settings
    gene: str | None
    profile: str | None
    sets: GeneSets | None
    gmt: Path | None


def explain(  # noqa: PLR0917  typer's options are the arguments
    model: Annotated[
        str,
        typer.Argument(
            help="A saved model, the start of a record's key, a method, METHOD:PARAM=VALUE or "
            "METHOD@PROTOCOL. A method without a kept model is run first.",
            metavar="MODEL|METHOD",
        ),
    ],
    protocol: Annotated[str | None, typer.Option(help="Protocol. Default: geo.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Dataset of the method. Default: that of its results, or sim."),
    ] = None,
    preset: PresetOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write tables and figures there, too.")
    ] = None,
    gene: Annotated[
        str | None, typer.Option(metavar="SYMBOL", help="Explain one target, by symbol or id.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Show the training profiles behind one test profile (sample-lasso, knn).",
        ),
    ] = None,
    gmt: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Gene sets to test for over-representation.")
    ] = None,
    rule: Annotated[
        str,
        typer.Option(
            help="auto, lrp-epsilon, lrp-gamma, gradient-input, integrated-gradients, exact or "
            "permutation."
        ),
    ] = "auto",
    profile_clusters: Annotated[int, typer.Option(help="Clusters of test profiles.")] = 20,
    target_clusters: Annotated[int, typer.Option(help="Clusters of targets.")] = 20,
    landmark_groups: Annotated[int, typer.Option(help="Groups of landmarks.")] = 10,
    top: Annotated[int, typer.Option(help="Landmarks listed for each cluster.")] = 20,
    profiles_by: Annotated[
        Literal["expression", "landmarks", "relevance"],
        typer.Option(help="Values that profiles are clustered by."),
    ] = "expression",
    targets_by: Annotated[
        Literal["expression", "predictions"],
        typer.Option(help="Values that targets are clustered by."),
    ] = "expression",
    label: Annotated[
        str,
        typer.Option(
            help="Column of the profile table that names clusters. Default: tissue, series …"
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the clusters and of the control.")] = 0,
    device: DeviceOption = "auto",
    results: ResultsOption = DEFAULT_RESULTS,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: SilentOption = False,
) -> None:
    """Show which landmarks the predictions of a model rest on, and how far to trust that.

    Panels a to d are those of Figures 2 and 3 of Wang et al. 2018. They are kept beside the record
    of the model. A panel that failed a check is marked unstable. No server is asked.
    """
    from genebench import api
    from genebench.explaining.enrichment import read_gmt
    from genebench.explaining.explanation import Explanation
    from genebench.explaining.making import explanation_of, subject_of
    from genebench.explaining.settings import settings_from
    from genebench.explaining.subject import Wanted

    settings = settings_from({
        "rule": rule, "profile_clusters": profile_clusters, "target_clusters": target_clusters,
        "landmark_groups": landmark_groups, "top": top, "profiles_by": profiles_by,
        "targets_by": targets_by, "label": label, "seed": seed,
    })  # fmt: skip
    _check_options(settings, gene, profile, gmt, out)
    if out:
        Explanation.check_place(out)
        _check_figures()
    request = _Request(
        Wanted.of(model, protocol), settings, gene, profile, read_gmt(gmt) if gmt else None, gmt
    )
    with bar(quiet=quiet) as progress:
        run = partial(
            api.run_for_model, results=results, device=device,
            execute=partial(_execute, quiet=quiet), progress=progress,
        )  # fmt: skip
        subject = subject_of(
            request.wanted, dataset=dataset, preset=preset, results=results, device=device,
            check=partial(_check, request), run=run, progress=progress,
        )  # fmt: skip
    for note in () if quiet else subject.notes:
        output.message(f"note: {note}")
    if gene:
        _print_gene(subject, gene, settings, as_json=json_)
    elif profile:
        _print_donors(subject, profile, as_json=json_)
    else:
        folders = _folders(subject, results, out)
        for folder in folders:
            Explanation.check_place(folder)
        with bar(quiet=quiet) as progress:
            explanation = explanation_of(
                subject, settings, request.sets, source=str(gmt), progress=progress
            )
        _save(explanation, folders)
        _print_panels(explanation, subject, folders, as_json=json_, quiet=quiet)


def _check_options(
    settings: Settings, gene: str | None, profile: str | None, gmt: Path | None, out: Path | None
) -> None:
    """Refuse options that contradict each other, or would do nothing.

    Raises:
        UserError: there are some.
    """
    from dataclasses import fields

    from genebench.explaining.settings import Settings

    if gene and profile:
        raise UserError("--gene and --profile are two questions. Ask them one by one.")
    name = "--gene" if gene else "--profile" if profile else ""
    if not name:
        return
    defaults = Settings()
    # One gene has a rule, and permutation a seed.
    kept = {"rule", "seed"} if gene else set()
    given = {"gmt": gmt, "out": out} | {
        field.name: getattr(settings, field.name) != getattr(defaults, field.name)
        for field in fields(Settings)
        if field.name not in kept
    }
    for option, value in given.items():
        if value:
            raise UserError(
                f"--{option.replace('_', '-')} is for panels, not for {name}. Remove one of them."
            )


def _check(request: _Request, dataset: Dataset, protocol: ProtocolSpec) -> None:
    """Refuse what can only fail, before a model is fitted or opened.

    Raises:
        UserError: too few profiles or genes, an unknown gene or profile, or no known gene in a set.
    """
    from genebench.explaining.donors import position_of_profile
    from genebench.explaining.gene import coverage_of, position_of
    from genebench.explaining.making import check_explanation

    if request.gene:
        position_of(
            request.gene, dataset.landmark_genes, dataset.target_genes, coverage_of(dataset)
        )
    elif request.profile:
        position_of_profile(request.profile, dataset.profiles(protocol.test), protocol.name)
    else:
        check_explanation(dataset, protocol, request.settings, request.sets, str(request.gmt))


def _check_figures() -> None:
    """Refuse --out without matplotlib.

    Raises:
        UserError: it is not installed.
    """
    from genebench.reports.figures.drawing import check_drawing

    check_drawing()


def _execute(plan: Plan, settings: JobSettings, *, quiet: bool) -> None:
    """Execute what is left of a plan, with the engine of the config file."""
    from genebench import api

    engine, settings = api.configure(settings)
    jobs = plan.remaining(retry_failed=True)
    with jobs_shown(len(jobs), quiet=quiet):
        for _ in api.execute_plan(jobs, settings, engine):
            pass


def _folders(subject: Subject, results: Path, out: Path | None) -> list[Path]:
    """Return the folders of an explanation: the one that is asked for, and that of the record.

    Raises:
        UserError: there is none.
    """
    from genebench.results.paths import ResultPaths

    folders = [out] if out else []
    if subject.record:
        root = subject.store.root if subject.store else results
        folders.append(ResultPaths(root).explanation(subject.record.key))
    if not folders:
        raise UserError(
            f"{subject.path}: the model has no record in {results}, so there is no place for its "
            "explanation. Name a folder with --out."
        )
    return folders


def _save(explanation: Explanation, folders: list[Path]) -> None:
    """Write an explanation with its figures to some folders.

    Raises:
        UserError: a folder holds something else, or cannot be written to.
    """
    from genebench.reports.figures.relevance import draw_if_possible

    first, *others = folders
    explanation.save(first, partial(draw_if_possible, explanation))
    for folder in others:
        # Drawing takes seconds, so figures are copied.
        explanation.save(folder, partial(_copy_figures, first))


def _copy_figures(source: Path, folder: Path) -> None:
    for path in source.iterdir():
        if path.suffix in (".pdf", ".svg", ".png"):
            shutil.copyfile(path, folder / path.name)


def _print_panels(
    explanation: Explanation, subject: Subject, folders: list[Path], *, as_json: bool, quiet: bool
) -> None:
    if as_json:
        output.as_json(_panels_json(explanation, folders))
        return
    if quiet:
        return
    rule = explanation.about["settings"]["rule"]
    output.line(f"{subject.label} · {subject.key[:8]} · {rule}")
    output.line()
    for kind, signs in (
        ("profiles", "+ raises predictions, − lowers them"),
        ("targets", "+ they rise with it, − they fall"),
    ):
        clusters = explanation.of_clusters(kind)
        top = explanation.top[explanation.top["kind"] == kind]
        panels = ("a", "b") if kind == "profiles" else ("c", "d")
        unstable = " and ".join(panel for panel in panels if panel in explanation.unstable)
        note = f" ({unstable}: unstable)" if unstable else ""
        output.line(f"landmarks with the largest relevance for clusters of {kind}{note}")
        output.table(
            ("cluster", "size", "label", "share", f"landmarks ({signs})"),
            [
                (
                    str(number),
                    f"{clusters['size'][number]:,}",
                    str(clusters["label"][number]),
                    f"{rows['share'].sum():.1%}",
                    some(map(_signed, rows["symbol"], rows["sign"]), _SHOWN_LANDMARKS),
                )
                for number, rows in top.groupby("cluster")
            ],
        )
    output.line("trust")
    output.table(
        ("panels", "check", "value", "limit", "result"),
        [
            (
                row.panels,
                row.measure,
                "" if math.isnan(row.value) else f"{row.value:.2g}",
                f"{row.side} {row.limit:g}",
                row.result if row.sound else "UNSTABLE",
            )
            for row in _rows(explanation.trust)
        ],
    )
    for note in (explanation.twin_note, explanation.bias_note, explanation.error_note):
        if note:
            output.line(note)
    if explanation.enrichment is not None:
        _print_sets(explanation.enrichment)
    for folder in folders:
        output.line(f"wrote {folder}")


def _print_sets(table: pd.DataFrame) -> None:
    found = table[table["q"] <= _FALSE_DISCOVERIES]
    output.line(
        f"gene sets: {len(found):,} of {len(table):,} tests at a false discovery rate of "
        f"{_FALSE_DISCOVERIES:g}"
    )
    if len(found):
        output.table(
            ("list", "cluster", "found", "expected", "background", "q", "set"),
            [
                (
                    row.list, str(int(row.cluster)), f"{int(row.found)} of {int(row.size)}",
                    f"{row.expected:.1f}", f"{int(row.background):,}", f"{row.q:.1e}", row.set,
                )
                for row in _rows(found.head(_SHOWN_SETS))
            ],
        )  # fmt: skip


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a table, with its columns as attributes."""
    yield from table.itertuples()


def _signed(symbol: str, sign: int) -> str:
    return f"{'+' if sign > 0 else '−' if sign < 0 else ''}{symbol}"


def _panels_json(explanation: Explanation, folders: list[Path]) -> dict[str, Any]:
    tables = {
        "clusters": explanation.clusters,
        "top": explanation.top,
        "trust": explanation.trust,
        "twins": explanation.twins,
    }
    if explanation.enrichment is not None:
        tables["enrichment"] = explanation.enrichment
    return {
        **explanation.about,
        "unstable": {panel: list(why) for panel, why in explanation.unstable.items()},
        **{name: _records(table) for name, table in tables.items()},
        "folders": [str(folder) for folder in folders],
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table. NaN becomes null."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def _print_gene(subject: Subject, gene: str, settings: Settings, *, as_json: bool) -> None:
    from genebench.explaining.gene import explain_gene
    from genebench.explaining.subject import gene_scores

    found = explain_gene(subject, gene, settings.rule, gene_scores(subject), seed=settings.seed)
    if as_json:
        output.as_json(
            {
                **subject.about(),
                "gene": found.gene,
                "symbol": found.symbol,
                "twin": found.twin,
                "rule": found.rule,
                "landmarks": _records(found.landmarks),
                "scores": _records(found.scores),
            }
        )
        return
    _print_found_gene(subject, found)


def _print_found_gene(subject: Subject, found: GeneExplanation) -> None:
    scale = found.landmarks["relevance"].abs().sum() or 1.0
    twin = ", which is a landmark too" if found.twin else ""
    output.line(f"{found.symbol} ({found.gene}){twin} · {subject.label} · {found.rule}")
    output.line()
    output.table(
        ("landmark", "symbol", "sign", "share", "error", ""),
        [
            (
                row.landmark,
                row.symbol,
                _signed("", row.sign),
                f"{row.share:.1%}",
                "" if math.isnan(row.error) else f"± {row.error / scale:.1%}",
                "its own twin" if row.own_twin else "",
            )
            for row in _rows(found.landmarks.head(_SHOWN_DRIVERS))
        ],
    )
    if not len(found.scores):
        output.line("how well it is predicted is unknown: the results folder has no record of it")
        return
    output.line("how well it is predicted on the test profiles")
    output.table(
        ("metric", "value", "median of all targets", "better than"),
        [
            (row.metric, f"{row.value:.4f}", f"{row.median:.4f}", f"{row.better:.0%} of targets")
            for row in _rows(found.scores)
        ],
    )


def _print_donors(subject: Subject, profile: str, *, as_json: bool) -> None:
    from genebench.explaining.donors import explain_profile

    table = explain_profile(subject, profile)
    if as_json:
        output.as_json({**subject.about(), "profile": profile, "donors": _records(table)})
        return
    output.line(f"{profile} · {subject.label} · {len(table):,} training profiles")
    output.line()
    numbers = [name for name in table if table[name].dtype.kind == "f"]
    shown = table.head(_SHOWN_DRIVERS)
    output.table(
        [str(name) for name in table],
        [
            tuple(f"{value:.3f}" if name in numbers else str(value) for name, value in row.items())
            for row in shown.to_dict("records")
        ],
    )
    if len(table) > len(shown):
        output.line(f"and {len(table) - len(shown):,} more (--json)")
