"""genebench sweep, report sweep and report suite: grids run once, shown whenever wanted."""

from __future__ import annotations

import csv
import io

import pytest

from genebench.cli import invoke
from genebench.results.store import ResultsStore

SWEEP = (
    "sweep", "--preset", "tiny", "--methods", "knn,lsr-l2", "--protocol", "geo,gtex",
    "--grid", "knn.k_max=3,5", "--grid", "lsr-l2.lambdas=2,3", "--grid", "lsr-l2.lambda_max=10,1e4",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """Return the results of the sweep. No test adds to them."""
    results = tmp_path_factory.mktemp("sweep") / "results"
    assert invoke([*SWEEP, "--quiet", "--results", str(results)]) == 0
    return results


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_sweep_prints_grids_and_what_is_there_already_is_not_done_again(folder, genebench):
    before = stamps(folder)
    swept = genebench(*SWEEP, "--results", folder)
    assert swept.status == 0, swept.err
    assert "nothing to do" in swept.err
    assert stamps(folder) == before
    for protocol in ("geo", "gtex"):
        assert f"sim · {protocol} · preset tiny" in swept.out
    for heading in ("k_max=3", "k_max=5", "lambda_max=10", "lambda_max=10000"):
        assert heading in swept.out
    assert swept.out.count("train-mean") == 2
    assert "failed" not in swept.out
    assert "–: not run" not in swept.out


def test_protocols_share_their_fits(folder):
    records = list(ResultsStore(folder).records())
    assert len(records) == 2 * (2 + 2 + 4), "controls, k_max and λ, each under two protocols"
    assert all(record.shared_fit == ("geo", "gtex") for record in records)


def test_a_wider_grid_adds_only_its_own_points(folder, genebench):
    arguments = [argument.replace("k_max=3,5", "k_max=3,5,7") for argument in SWEEP]
    shown = genebench(*arguments, "--dry-run", "--results", folder)
    assert shown.out.count("to do") == 2 + 1, "and the sum"
    assert shown.out.count("done") == 16


def test_the_stored_grids_are_shown_again_in_every_format(folder, genebench):
    shown = genebench("report", "sweep", "--results", folder)
    assert shown.status == 0, shown.err
    assert shown.out.replace("lambda_max × lambdas", "").count("k_max=5") == 4, "MAE, CC; twice"
    rows = genebench("report", "sweep", "--results", folder, "--format", "csv").out
    parsed = list(csv.DictReader(io.StringIO(rows)))
    points = {(row["method"], row["grid.k_max"], row["grid.lambdas"]) for row in parsed}
    assert len(points) == 2 + 2
    assert {row["metric"] for row in parsed} == {"mae", "cc"}
    for layout in ("markdown", "latex", "json"):
        outcome = genebench("report", "sweep", "--results", folder, "--format", layout)
        assert "k_max" in outcome.out.replace("\\", "")


def test_heat_maps_are_drawn_where_there_is_a_folder(folder, genebench, tmp_path):
    pytest.importorskip("matplotlib")
    drawn = genebench(
        "report", "sweep", "--results", folder, "--out", tmp_path / "figures",
        "--protocol", "geo", "--metrics", "mae",
    )  # fmt: skip
    assert drawn.status == 0, drawn.err
    written = {path.suffix for path in (tmp_path / "figures").iterdir()}
    assert written == {".pdf", ".svg", ".png", ".csv"}
    assert drawn.err.count("drawn: ") == 4


def test_a_suite_lays_out_what_any_command_has_run(folder, genebench, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'title = "Mine"\nprotocols = ["geo"]\n[names]\nknn = "Neighbours"\n'
        '[[runs]]\nmethods = ["knn"]\ngrid = { k_max = [3, 9] }\n'
    )
    shown = genebench("report", "suite", suite, "--results", folder)
    assert shown.status == 0, shown.err
    assert "Neighbours" in shown.out
    assert "k_max=9" in shown.out
    assert "–: not run, 1 of 2" in shown.out
    assert "gtex" not in shown.out
    everywhere = genebench("report", "suite", suite, "--results", folder, "--protocol", "all")
    assert "sim · gtex" in everywhere.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("suite", "tabel1"), "Did you mean table1"),
        (("suite", "table2"), "no results of suite table2"),
        (("suite",), "Add it: genebench report suite SUITE"),
        (("sweep", "leaks"), "takes no argument. Remove leaks"),
        (("--out", "figures"), "ask for one of curve, suite, sizes, cost, sweep"),
        (("sweep", "--methods", "train-mean"), "Run some with genebench sweep"),
        (("sweep", "--format", "pdf"), "unknown report format"),
    ],
)
def test_a_report_that_cannot_be_made_is_one_line(folder, genebench, arguments, message):
    refused = genebench("report", *arguments, "--results", folder)
    assert (refused.status, refused.out) == (2, "")
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "knn"), "--grid"),
        (("--grid", "k_max=3"), "--methods"),
        (("--methods", "knn", "--grid", "k_max"), "Write PARAM=VALUE"),
        (("--methods", "knn", "--grid", "kmax=3"), "Did you mean k_max"),
        (("--methods", "knn", "--grid", "k_max=0"), "out of range"),
        (("--methods", "knn", "--grid", "lsr-l2.lambdas=3"), "not among the methods"),
        (("--methods", "knn", "--grid", "k_max=3", "--set", "lsr.x=3"), "not among the methods"),
        (("--methods", "knn", "--grid", "k_max=3", "--preset", "huge"), "unknown preset"),
        (("--methods", "knn", "--grid", "k_max=3", "--seeds", "0"), "at least one seed"),
    ],
)
def test_a_wrong_sweep_is_one_line_and_nothing_is_written(
    genebench, tiny, tmp_path, arguments, message
):
    preset = () if "--preset" in arguments else ("--preset", "tiny")
    refused = genebench("sweep", *arguments, *preset, "--results", tmp_path / "results")
    assert refused.status == 2
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_sweep_says_before_it_starts_that_it_cannot_draw(genebench, tmp_path, monkeypatch):
    from genebench.reports.figures import drawing as figures

    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    refused = genebench(*SWEEP, "--out", tmp_path, "--results", tmp_path / "results")
    assert refused.status == 2
    assert "genebench-suite[report]" in refused.err
    assert not (tmp_path / "results").exists()


def test_a_failed_point_is_a_failed_cell_and_the_exit_status_says_so(
    genebench, tiny, tmp_path, install, monkeypatch
):
    from genebench.plugins.discovery import installed
    from genebench.plugins.registry import registry

    install(
        "genebench_moody",
        """
        from genebench import Method, hookimpl
        from genebench.specs import MethodSpec, Param

        genebench_contract = 1

        class Moody(Method):
            def fit(self, train_profiles, validation_sets, context):
                raise ValueError(f"not with {self.params['mood']}")

        @hookimpl
        def genebench_methods():
            mood = Param(name="mood", default=1, help="mood")
            return [MethodSpec(name="moody", title="Moody", summary="fails",
                               code="genebench_moody:Moody", params=(mood,))]
        """,
    )
    for cached in (installed, registry):
        cached.cache_clear()
    try:
        done = genebench(
            "sweep", "--preset", "tiny", "--methods", "moody", "--grid", "mood=1,2",
            "--protocol", "geo", "--results", tmp_path / "results", "--quiet",
        )  # fmt: skip
    finally:
        for cached in (installed, registry):
            cached.cache_clear()
    assert done.status == 1
    assert done.out.count("failed") >= 4, "two cells of two metrics"
    assert "moody failed at mood=2: ValueError: not with 2" in done.out
