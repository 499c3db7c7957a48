"""genebench report and status: what a folder holds."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genebench.plugins.discovery import FILES, installed
from genebench.plugins.registry import registry
from genebench.results.record import Failure
from genebench.results.store import ResultsStore

COLUMNS = [
    "dataset", "protocol", "method", "params", "preset", "seed", "scored_on", "panel", "metric",
    "mean", "std_genes", "status", "sealed", "key",
]  # fmt: skip
FORMATS = ("terminal", "markdown", "latex", "csv", "json")


@pytest.fixture
def report(genebench, made) -> Callable:
    return lambda *arguments: genebench("report", "--results", made, *arguments)


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def record_of(folder: Path, method: str = "lsr", protocol: str = "geo"):
    records = ResultsStore(folder).records()
    wanted = (method, protocol)
    return next(r for r in records if (r.identity.method, r.identity.protocol) == wanted)


def edit(folder: Path, change: Callable[[dict], None], **which: str) -> str:
    """Edit a record as somebody with a text editor would; return its key."""
    key = record_of(folder, **which).key
    path = folder / f"{key}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return key


def assert_one_line_error(outcome, *fragments: str) -> None:
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("genebench: error: ")
    assert outcome.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.err


# Forms


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_shows_every_method_and_protocol(report, form):
    outcome = report("--format", form)
    assert outcome.status == 0
    assert outcome.err == ""
    for name in ("lsr", "train-mean", "copy-twin", "geo", "gtex"):
        assert name in outcome.out


def test_csv_has_exactly_the_documented_columns_and_one_row_per_value(report):
    text = report("--format", "csv").out
    assert text.splitlines()[0] == ",".join(COLUMNS)
    rows = parsed(text)
    # 3 methods, 2 protocols, 2 metrics, 3 panels.
    assert len(rows) == 3 * 2 * 2 * 3
    identities = {tuple(row[name] for name in COLUMNS[:9]) for row in rows}
    assert len(identities) == len(rows)


def test_json_and_csv_hold_the_same_values(report):
    objects = json.loads(report("--format", "json").out)
    assert [list(item) for item in objects] == [COLUMNS] * len(objects)
    rows = parsed(report("--format", "csv").out)
    assert [{name: str(value) for name, value in item.items()} for item in objects] == rows


def test_values_are_mean_and_std_of_the_stored_vectors(report, made):
    store = ResultsStore(made)
    for row in json.loads(report("--format", "json").out):
        vectors = store.vectors(store.read(row["key"]))
        twin = vectors["gene.twin"]
        panel = {"all": twin | True, "strict": ~twin, "twin": twin}[row["panel"]]
        values = vectors[f"gene-metric.{row['metric']}"][panel]
        assert row["mean"] == pytest.approx(np.mean(values), abs=1e-12)
        assert row["std_genes"] == pytest.approx(np.std(values), abs=1e-12)


def test_markdown_is_made_of_pipe_tables_with_the_best_value_in_bold(report):
    lines = report("--format", "markdown", "--protocol", "geo").out.splitlines()
    assert lines[0].startswith("## sim · geo · data ")
    lsr = next(line for line in lines if line.startswith("| lsr"))
    assert lsr.count("**") == 6
    assert all("**" not in line for line in lines if line.startswith("| train-mean"))


def test_latex_environments_are_balanced(report):
    text = report("--format", "latex").out
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 6
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 6
    assert "±" not in text


def test_a_report_shows_what_the_run_showed(genebench, made):
    run = genebench("run", "--preset", "tiny", "--methods", "lsr", "--quiet", "--results", made).out
    report = genebench("report", "summary", "--results", made).out
    assert report.splitlines() == run.splitlines()


def test_a_report_changes_no_file(report, made):
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    for form in FORMATS:
        report("--format", form)
    report("--recompute")
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before


# Filters


@pytest.mark.parametrize(
    ("filters", "column", "expected"),
    [
        (["--protocol", "geo"], "protocol", {"geo"}),
        (["--protocol", "geo,gtex"], "protocol", {"geo", "gtex"}),
        (["--methods", "lsr, copy-twin"], "method", {"lsr", "copy-twin"}),
        (["--dataset", "sim"], "dataset", {"sim"}),
        (["--methods", "all"], "method", {"lsr", "copy-twin", "train-mean"}),
    ],
)
def test_filters_choose_rows(report, filters, column, expected):
    rows = parsed(report("--format", "csv", *filters).out)
    assert {row[column] for row in rows} == expected


@pytest.mark.parametrize("option", ["--dataset", "--protocol", "--methods"])
def test_a_filter_that_matches_nothing_is_one_line_that_names_it(report, option):
    assert_one_line_error(report(option, "lsrr"), "lsrr")


def test_an_unknown_format_is_one_line_with_near_misses(report):
    assert_one_line_error(report("--format", "markdwn"), "'markdwn'", "markdown")


# Recomputing


def test_recomputed_scores_are_those_of_the_records(report):
    assert report("--format", "csv", "--recompute").out == report("--format", "csv").out


def test_recomputing_uses_the_predictions_not_the_record(genebench, copied):
    genuine = genebench("report", "--format", "csv", "--results", copied).out

    def flatter(content: dict) -> None:
        content["scores"]["mae"]["all"]["mean"] = 0.01

    edit(copied, flatter)
    edited = genebench("report", "--format", "csv", "--results", copied).out
    assert edited != genuine
    assert genebench("report", "--format", "csv", "--recompute", "--results", copied).out == genuine


def test_recomputing_without_kept_predictions_is_one_line(genebench, tiny, tmp_path):
    results = tmp_path / "results"
    genebench("run", "--preset", "tiny", "--methods", "lsr", "--results", results)
    outcome = genebench("report", "--recompute", "--results", results)
    assert_one_line_error(outcome, "--keep-predictions")


def test_kept_predictions_are_float32_profiles_by_targets_named_by_the_key(made, tiny):
    key = record_of(made).key
    [path] = made.glob(f"{key}.*.predictions.npy")
    predictions = np.load(path, allow_pickle=False)
    assert predictions.dtype == np.float32
    assert predictions.shape == (40, len(tiny.target_genes))


def test_predictions_changed_after_they_were_kept_are_refused(genebench, copied):
    [path] = copied.glob(f"{record_of(copied).key}.*.predictions.npy")
    np.save(path, np.load(path) * np.float32(0.5))
    assert_one_line_error(genebench("report", "--recompute", "--results", copied), "changed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rank"], "mean ranks"),
        (["--format", "markdwn"], "mean markdown"),
        (["--metrics", "maee"], "mean mae"),
        (["--metrics", "spearman"], "genebench run --metrics spearman"),
        (["--methods", "lsrr"], "mean lsr"),
        (["curve"], "Add it: genebench report curve CURVE"),
        (["curve", "path"], "unknown curve of these results"),
        (["scores", "path"], "takes no argument"),
        (["suite", "table0"], "mean table"),
        (["leaks"], "No protocol was run beside its variant"),
        (["sweep"], "genebench sweep"),
        (["--out", "figures"], "has no figures"),
        (["sweep", "leaks", "--out", "figures"], "takes no argument"),
    ],
)
def test_whatever_can_be_refused_is_refused_before_anything_is_recomputed(
    report, monkeypatch, arguments, message
):
    def fail(*_):
        pytest.fail("scores were recomputed")

    monkeypatch.setattr("genebench.analysis.recompute.recompute", fail)
    assert_one_line_error(report(*arguments, "--recompute"), message)


def test_scaled_scores_are_made_of_recomputed_controls(genebench, copied):
    genuine = genebench("report", "scaled", "--format", "csv", "--results", copied).out
    assert genuine.count("\n") > 1

    def flatter(content: dict) -> None:
        for panel in content["scores"]["mae"].values():
            panel["mean"] = 0.9

    edit(copied, flatter, method="train-mean")
    arguments = ("report", "scaled", "--format", "csv", "--methods", "lsr,train-mean,copy-twin")
    edited = genebench(*arguments, "--results", copied).out
    assert edited != genuine
    assert genebench(*arguments, "--recompute", "--results", copied).out == genuine


# Reports of plugins

SLOWEST = """
import pandas as pd

from genebench import UserError, hookimpl
from genebench.reports.report import Report, Row, Section, Table
from genebench.specs import ReportSpec

genebench_contract = 1


@hookimpl
def genebench_reports():
    return [
        ReportSpec(
            name="slowest", title="Slowest", summary="the slowest fits first",
            code="slowest:SlowestReport",
        ),
        ReportSpec(
            name="phase", title="Phase", summary="seconds of a phase", argument="phase",
            code="slowest:PhaseReport", figures=True,
        ),
        ReportSpec(name="raises", title="Raises", summary="s", code="slowest:Raises"),
        ReportSpec(name="pandas", title="P", summary="s", code="slowest:RaisesInPandas"),
        ReportSpec(name="cells", title="C", summary="s", code="slowest:TooManyCells"),
        ReportSpec(name="function", title="Function", summary="s", code="slowest:pd"),
        ReportSpec(name="missing", title="M", summary="s", code="slowest:Absent"),
        ReportSpec(name="exits", title="E", summary="s", code="slowest:Exits"),
        ReportSpec(name="other", title="O", summary="s", code="slowest:OtherArguments"),
    ]


class SlowestReport(Report):
    def sections(self):
        rows = [Row((row.method, f"{row.seconds:.1f}")) for row in self.values().itertuples()]
        yield Section("slowest", (Table("seconds", ("method", "s"), tuple(rows)),))

    def values(self):
        rows = [(r.identity.method, r.seconds["fit"]) for r in self.records]
        table = pd.DataFrame(rows, columns=["method", "seconds"])
        return table.sort_values("seconds", ascending=False)


class PhaseReport(SlowestReport):
    def check(self):
        if self.argument not in self.records[0].seconds:
            raise UserError(f"There is no phase {self.argument}. Name fit, predict or score.")

    def draw(self, folder):
        folder.mkdir()
        (folder / "phase.svg").write_text("")
        return [folder / "phase.svg"]


class Raises(SlowestReport):
    def values(self):
        raise ValueError("no luck")


class Exits(SlowestReport):
    def values(self):
        raise SystemExit(3)


class OtherArguments(SlowestReport):
    def __init__(self):
        pass


class RaisesInPandas(SlowestReport):
    def sections(self):
        return self.values()["no such column"]


class TooManyCells(SlowestReport):
    def sections(self):
        yield Section("slowest", (Table("seconds", ("method",), (Row(("a", "b")),)),))
"""


@pytest.fixture
def slowest(tmp_path, monkeypatch):
    """A plugin of one file that offers reports; it is forgotten after the test."""

    def forget() -> None:
        monkeypatch.setenv(FILES, "")
        sys.modules.pop("slowest", None)
        installed.cache_clear()
        registry.cache_clear()

    forget()
    path = tmp_path / "slowest.py"
    path.write_text(SLOWEST)
    yield path
    forget()


def test_a_report_of_a_plugin_is_listed(genebench, slowest):
    listed = genebench("list", "reports", "--plugin", slowest).out
    assert "the slowest fits first" in listed
    assert listed.count("slowest.py") == 9


def test_help_names_the_reports_of_plugins_their_arguments_and_those_with_figures(
    genebench, slowest
):
    shown = " ".join(genebench("report", "--plugin", slowest, "--help").out.split())
    assert "sweep, slowest, phase" in shown
    assert "suite SUITE: the layout of a suite: a file" in shown
    assert "phase PHASE: seconds of a phase." in shown
    assert "Draw figures there: curve, suite, sizes, cost, sweep, phase." in shown


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("terminal", "slowest ───"),
        ("markdown", "| method     |   s |"),
        ("latex", r"\caption{slowest: seconds}"),
        ("csv", "method,seconds\n"),
        ("json", '"seconds": '),
    ],
)
def test_a_report_of_a_plugin_is_printed_in_every_form(report, slowest, form, expected):
    outcome = report("slowest", "--plugin", slowest, "--format", form, "--protocol", "geo")
    assert (outcome.status, outcome.err) == (0, "")
    assert expected in outcome.out
    assert "train-mean" in outcome.out


def test_a_report_of_a_plugin_takes_an_argument_and_draws(report, slowest, tmp_path):
    folder = tmp_path / "figures"
    outcome = report("phase", "fit", "--plugin", slowest, "--out", folder)
    assert outcome.status == 0
    assert outcome.err == f"drawn: {folder / 'phase.svg'}\n"


def test_figures_that_cannot_be_are_no_silence(report, tmp_path):
    outcome = report("suite", "table1", "--out", tmp_path / "figures")
    assert outcome.status == 0
    assert outcome.err.startswith("note: nothing to draw")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slowst"], "mean slowest"),
        (["phase"], "genebench report phase PHASE"),
        (["phase", "fitt"], "There is no phase fitt. Name fit, predict or score."),
        (["raises"], "ValueError: no luck (slowest.py, line 56). Correct the plugin"),
        (["pandas"], "KeyError: 'no such column' (slowest.py, line 71). Correct the plugin"),
        (["cells"], "a row has 2 cells for 1 columns (slowest.py, line 76)"),
        (["raises", "--format", "csv"], "ValueError: no luck (slowest.py, line 56)"),
        (["exits", "--format", "csv"], "Report exits in format csv failed: SystemExit: 3 (slowest"),
        (["missing"], "Report missing: slowest:Absent cannot be imported: AttributeError"),
        (["other"], "Report other failed: TypeError"),
        (["function"], "slowest:pd is not a subclass of genebench.reports.report.Report"),
        (["slowest", "--out", "figures"], "has no figures"),
    ],
)
def test_an_error_in_a_report_of_a_plugin_is_one_line(report, slowest, arguments, message):
    assert_one_line_error(report(*arguments, "--plugin", slowest), message)


def test_a_fault_of_genebench_in_a_report_of_a_plugin_keeps_its_traceback(
    report, slowest, monkeypatch
):
    def fault(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("genebench.reports.reporters.terminal._print", fault)
    with pytest.raises(ZeroDivisionError):
        report("slowest", "--plugin", slowest)


# What somebody else wrote


HOSTILE = "\x1b[31mred [bold]b[/] a|b <script>x</script> 50 % & a_b {c} $d \\e\nnext"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", ["notes", "choices", "failure"])
def test_hostile_text_is_neutralised(genebench, copied, form, place):
    store, record = ResultsStore(copied), record_of(copied)
    changes = {
        "notes": {"notes": (HOSTILE,)},
        "choices": {"choices": {"k": HOSTILE}},
        "failure": {
            "status": "failed",
            "scores": {},
            "failure": Failure(kind="Error", message=HOSTILE, traceback=HOSTILE),
        },
    }
    store.write(record.model_copy(update=changes[place]), store.vectors(record))
    outcome = genebench("report", "--format", form, "--notes", "--results", copied)
    assert outcome.status == 0
    assert "\x1b" not in outcome.out
    shown = " ".join(outcome.out.split())
    match form:
        case "terminal":
            assert "[bold]b[/] a|b" in shown
        case "markdown":
            assert "<script>" not in shown
            assert r"a\|b" in shown
        case "latex":
            assert r"50 \% \& a\_b \{c\} \$d \textbackslash{}e" in shown


def test_a_failed_job_is_a_row_without_a_value(genebench, copied):
    failure = Failure(kind="ValueError", message="no luck", traceback="")
    record = record_of(copied).model_copy(
        update={"status": "failed", "scores": {}, "failure": failure}
    )
    ResultsStore(copied).write(record, {})
    shown = genebench("report", "--protocol", "geo", "--results", copied).out
    row = next(line for line in shown.splitlines() if line.split()[:1] == ["lsr"])
    assert row.split() == ["lsr", "failed", "failed", "failed"]
    rows = parsed(genebench("report", "--format", "csv", "--results", copied).out)
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert (failed["method"], failed["panel"], failed["mean"]) == ("lsr", "", "")
    objects = json.loads(genebench("report", "--format", "json", "--results", copied).out)
    assert [item["mean"] for item in objects if item["status"] == "failed"] == [None]


# Folders that are not what they should be


@pytest.mark.parametrize("command", [("report",), ("status",), ("results", "verify")])
def test_a_folder_that_does_not_exist_is_one_line(genebench, tmp_path, command):
    outcome = genebench(*command, "--results", tmp_path / "reslts")
    assert_one_line_error(outcome, "reslts")


@pytest.mark.parametrize("command", [("report",), ("status",), ("results", "verify")])
def test_a_folder_that_is_something_else_is_one_line(genebench, tmp_path, command):
    (tmp_path / "settings.json").write_text("{}")
    outcome = genebench(*command, "--results", tmp_path)
    assert_one_line_error(outcome, "not a results folder")


@pytest.mark.parametrize("command", [("report",), ("status",), ("results", "verify")])
def test_a_folder_of_another_layout_is_one_line(genebench, copied, command):
    (copied / "genebench-results.json").write_text('{"genebench-results": 99}')
    assert_one_line_error(genebench(*command, "--results", copied), "layout 99")


@pytest.mark.parametrize("command", ["report", "status"])
def test_a_damaged_record_is_named_with_the_remedy_and_the_others_are_shown(
    genebench, copied, caplog, command
):
    key = record_of(copied).key
    (copied / f"{key}.json").write_text("{")
    outcome = genebench(command, "--results", copied)
    assert outcome.status == 0
    assert "train-mean" in outcome.out
    [warning] = caplog.messages
    assert f"{key}.json" in warning
    assert "Remove the file" in warning


# Status


def test_status_lists_every_record_and_counts_failures(genebench, copied):
    failure = Failure(kind="ValueError", message="no luck", traceback="")
    record = record_of(copied).model_copy(
        update={"status": "failed", "scores": {}, "failure": failure}
    )
    ResultsStore(copied).write(record, {})
    outcome = genebench("status", "--results", copied)
    assert outcome.status == 0
    for key in ResultsStore(copied).keys():  # noqa: SIM118  not a mapping
        assert key in outcome.out
    assert outcome.out.splitlines()[-1] == f"5 done, 1 failed in {copied}"


def test_status_keeps_a_record_on_one_line(genebench, made):
    lines = genebench("status", "--results", made).out.splitlines()
    assert sum(line.split()[:1] in (["geo"], ["gtex"]) for line in lines) == 6
    full = [line for line in lines if line.strip()]
    assert len(full) == 1 + 2 + 6 + 1, "what all share, header, rule, rows, count"


# Metrics of plugins


METRIC = """
from genebench import hookimpl
from genebench.specs import MetricSpec

genebench_contract = 1


def within(truth, prediction):
    BODY


@hookimpl
def genebench_metrics():
    return [MetricSpec(name="within", title="Within", summary="close", code="within:within",
                       unit="share", direction="higher", best=1.0, costly=True)]
"""


@pytest.fixture
def within(genebench, tmp_path, monkeypatch):
    """Run a command with a metric in a plugin file, whose body is given."""

    def forget() -> None:
        monkeypatch.setenv(FILES, "")
        sys.modules.pop("within", None)
        installed.cache_clear()
        registry.cache_clear()

    path = tmp_path / "within.py"

    def run(body, *words):
        forget()
        path.write_text(METRIC.replace("BODY", body))
        return genebench(*words, "--plugin", path, "--results", tmp_path / "results")

    yield run
    forget()


RUN = ("run", "--methods", "lsr", "--protocol", "geo", "--preset", "tiny", "--metrics", "within")


def test_scores_of_an_edited_metric_are_marked_as_stale(within, tiny):
    within("return (abs(prediction - truth) < 0.5).mean(axis=0)", *RUN)
    show = ("report", "--metrics", "within")
    fresh = within("return (abs(prediction - truth) < 0.5).mean(axis=0)", *show)
    assert "has changed since" not in fresh.out
    edited = within("return (abs(prediction - truth) < 0.9).mean(axis=0)", *show)
    assert "the code of this metric has changed since 3 of 3 results" in " ".join(
        edited.out.split()
    )


def test_a_metric_that_failed_says_why_when_it_is_asked_for(within, tiny):
    assert within("raise ValueError('no luck')", *RUN).status == 0
    outcome = within("raise ValueError('no luck')", "report", "--metrics", "within")
    assert_one_line_error(outcome, "Metric within failed on these results: ValueError: no luck.")
