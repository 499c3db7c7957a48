"""The leaderboard: groups that are ranked together, the content of pages, and bad input."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote
from zlib import crc32

import numpy as np
import pytest

from genebench._util.hashing import key_of
from genebench.analysis.bootstrap import seed_interval
from genebench.errors import UserError
from genebench.leaderboard import run_pages
from genebench.leaderboard.assembly import build
from genebench.leaderboard.boards import boards_of
from genebench.leaderboard.charts import (
    Axis,
    Dot,
    Histogram,
    _front,
    _trace,
    curve,
    histogram,
    scatter,
    thinned,
)
from genebench.leaderboard.reading import Run, read
from genebench.leaderboard.run_pages import chosen_params, repeat_command
from genebench.leaderboard.templating import shown
from genebench.leaderboard.vectors import BINS, summarise
from genebench.plugins.registry import registry
from genebench.results.panels import scores_of
from genebench.results.record import (
    RECORD_FORMAT,
    Code,
    Failure,
    Identity,
    PluginOrigin,
    Provenance,
    Record,
)
from genebench.results.store import ResultsStore

GENES, PROFILES = 60, 24
HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e"


def identity(method="lsr", **changes):
    fields = {
        "method": method, "params": {}, "seed": 0, "protocol": "geo", "protocol_version": 1,
        "train": "geo/train", "validation": "geo/validation", "test": "geo/test",
        "data": "0123456789abcdef",
        "code": Code(distribution="genebench-linear", version="1.0", digest="ab"), "numerics": 1,
    }  # fmt: skip
    return Identity(**fields | changes)


def provenance(**changes):
    fields = {
        "command": "genebench run", "started": "2026-01-01T00:00:00+00:00", "host": "node",
        "platform": "Linux", "processor": "made up", "cpus": 2,
        "device": "cpu", "accelerator": "", "python": "3.12",
        "versions": {"genebench": "1.0"}, "git": {},
    }  # fmt: skip
    return Provenance(**fields | changes)


def vectors_with(level, seed=0):
    """Return vectors of a method with errors around a level. All methods find a profile as hard."""
    hardness = np.random.default_rng(1).gamma(8, 0.125, (PROFILES, 1))
    noise = np.random.default_rng(seed).normal(1, 0.05, (PROFILES, GENES))
    errors = level * hardness * noise
    twin = np.arange(GENES) < 10
    vectors = {
        "gene.id": np.array([f"ENSG{number:011d}" for number in range(GENES)]),
        "gene.twin": twin,
        "profile.id": np.array([f"GSM{number}" for number in range(PROFILES)]),
        "profile.group": np.array([f"GSE{number // 2}" for number in range(PROFILES)]),
        "gene-metric.mae": errors.mean(axis=0),
        "gene-metric.cc": 1 - errors.mean(axis=0),
    }
    for panel, mask in {"all": slice(None), "strict": ~twin, "twin": twin}.items():
        vectors[f"profile-share.mae.{panel}"] = errors[:, mask].mean(axis=1)
        vectors[f"profile-share.cc.{panel}"] = 1 - errors[:, mask].mean(axis=1)
    return vectors


@pytest.fixture
def store(tmp_path):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    return store


def put(store, what, level=0.4, *, failure=None, vectors=None, **changes):
    """Write a record, done or failed, and return it."""
    vectors = vectors or vectors_with(level, crc32(f"{what.method} {what.seed}".encode()))
    fields = {
        "format": RECORD_FORMAT, "key": key_of(what.model_dump()),
        "status": "failed" if failure else "done",
        "identity": what, "dataset": "sim", "preset": "tiny", "published_data": False,
        "profiles": {"train": 300, "validation": 40, "test": PROFILES},
        "genes": {"landmark": 20, "target": GENES}, "choices": {"epoch": 2}, "notes": (),
        "curves": {"learning": {"epoch": (1.0, 2.0, 3.0), "mae geo": (0.5, 0.4, 0.45)}},
        "scores": {} if failure else scores_of(vectors), "metrics": {}, "constant_truth": 0,
        "constant_prediction": 0, "vectors": "", "predictions": "", "model_parameters": 1234,
        "seconds": {} if failure else {"fit": 2.5, "predict": 0.25, "score": 0.1},
        "timing": {"epoch": 1},
        "shared_fit": ("geo",), "peak_memory": 400_000_000, "peak_memory_scope": "job",
        "failure": failure, "provenance": provenance(),
        "seal": {"level": "no", "reason": "nothing was run"},
    }  # fmt: skip
    return store.write(Record(**fields | changes), vectors)


FAILED = Failure(kind="ValueError", message="no luck", traceback="Traceback\n  line\nValueError")


class Page(HTMLParser):
    """The content of a page: tags with attributes, cells by row, and text."""

    def __init__(self, path):
        super().__init__()
        self.path, self.tags, self.rows, self._text = path, [], [], []
        self.standings = []
        self._cell = False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
            if "data-id" in dict(attrs):
                self.standings.append(self.rows[-1])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        if tag in ("tr", "table"):
            self._cell = False

    def handle_data(self, data):
        self._text.append(data)
        if self._cell:
            self.rows[-1][-1] += data

    @property
    def text(self):
        return "".join(self._text)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def links(self):
        links = [a.get("href", "") for a in (*self.all("a"), *self.all("link"))]
        return [*links, *(script["src"] for script in self.all("script"))]


def made(store, tmp_path, *more, **options):
    """Build a site, and return its folder and the result."""
    out = tmp_path / "site"
    built = build([store.root, *more], out, **options)
    return SimpleNamespace(out=out, built=built)


def boards(out):
    return sorted((out / "boards").iterdir())


def labels(page):
    """Return the rank without its range, and the method, of each row of the standings."""
    return [(re.sub(r" \d+–\d+$", "", row[0].strip()), row[1].strip()) for row in page.standings]


# Groups that are ranked together


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "f" * 16}, {"protocol_version": 2}, {"protocol": "gtex"}, {"numerics": 2},
        {"test": "gtex"}, {"splits": {"tissue": "d"}},
    ],
    ids=["data", "protocol version", "protocol", "arithmetic", "test profiles", "split"],
)  # fmt: skip
def test_runs_that_differ_in_what_they_were_tested_on_have_boards_of_their_own(
    store, tmp_path, changes
):
    put(store, identity("lsr"))
    put(store, identity("knn", **changes), 0.3)
    site = made(store, tmp_path)
    tables = [labels(Page(board / "all.html")) for board in boards(site.out)]
    assert sorted(tables) == [[("1", "knn")], [("1", "lsr")]]


def run_of(method, preset, params):
    record = SimpleNamespace(
        identity=identity(method, params=params), preset=preset, key=f"{method} {preset}",
        dataset="sim",
    )  # fmt: skip
    return Run(record, Path())


def test_presets_are_apart_but_a_method_that_has_none_stands_on_both():
    methods = registry().methods.specs
    dgex, lsr = methods["dgex"], methods["lsr"]
    runs = [
        run_of("dgex", "tiny", dgex.values("tiny", {})),
        run_of("dgex", "paper", dgex.values("paper", {})),
        run_of("lsr", "tiny", lsr.values("tiny", {})),
    ]
    assert lsr.values("tiny", {}) == lsr.values("paper", {})
    keys = {board.preset: [run.key for run in board.runs] for board in boards_of(runs, registry())}
    assert keys == {"paper": ["dgex paper", "lsr tiny"], "tiny": ["dgex tiny", "lsr tiny"]}


def test_each_training_size_has_a_board_of_its_own_after_that_of_the_whole():
    names = ("gone-n5", "geo-n50", "gtex", "geo-n400", "geo")
    runs = []
    for name in names:
        run = run_of("lsr", "tiny", {})
        run.record.identity = identity("lsr", protocol=name)
        run.record.key = name
        runs.append(run)
    titles = [board.protocol_title for board in boards_of(runs, registry())]
    assert titles == [
        "GEO", "GEO, 400 training profiles", "GEO, 50 training profiles",
        "GEO → 1000 Genomes → GTEx", "gone-n5",
    ]  # fmt: skip


def test_trials_of_tuning_stand_on_no_board(store, tmp_path):
    put(store, identity("lsr"))
    put(store, identity("knn", test="geo/validation"))
    site = made(store, tmp_path)
    assert site.built.runs == 1
    assert "1 trials of tuning" in Page(site.out / "index.html").text


# A board


def test_methods_are_ranked_with_ties_and_controls_come_last_without_a_rank(store, tmp_path):
    put(store, identity("ggan"), 0.3)
    put(store, identity("dgex"), 0.3001)
    put(store, identity("knn"), 0.5)
    put(store, identity("copy-twin"), 0.01)
    site = made(store, tmp_path)
    page = Page(boards(site.out)[0] / "all.html")
    assert labels(page) == [("1 =", "ggan"), ("1 =", "dgex"), ("3", "knn"), ("–", "copy-twin")]
    assert "for all 3 pairs together (largest T, step-down)" in page.text


def test_a_row_has_scores_with_intervals_costs_and_coverage(store, tmp_path):
    record = put(store, identity("lsr"), 0.3)
    site = made(store, tmp_path)
    (row,) = [row for row in Page(boards(site.out)[0] / "all.html").rows if "lsr" in row[1:2]]
    assert row[2] == f"{record.scores['mae']['all'].mean:.4f}"
    assert row[3:5] == ["leader", "–"]
    assert [cell.strip() for cell in row[6:]] == [
        "linear", "2.5", "0.250", "400", "1,234", "1 (0)", "no", "60"
    ]  # fmt: skip
    (line,) = [row for row in Page(next(site.out.glob("methods/*.html"))).rows if "geo" in row[:1]]
    low, high = map(float, re.fullmatch(r"[\d.]+ \[([\d.]+), ([\d.]+)\]", line[2]).groups())
    assert low < record.scores["mae"]["all"].mean < high


def test_a_row_behind_the_leader_has_the_interval_of_its_difference(store, tmp_path):
    best, worse = put(store, identity("ggan"), 0.3), put(store, identity("knn"), 0.5)
    site = made(store, tmp_path)
    (row,) = [row for row in Page(boards(site.out)[0] / "all.html").rows if "knn" in row[1:2]]
    value, low, high = map(float, re.findall(r"[+−]\d\.\d{4}", row[3]))
    difference = worse.scores["mae"]["all"].mean - best.scores["mae"]["all"].mean
    assert value == pytest.approx(difference, abs=5e-5)
    assert 0 < low < value < high
    assert row[4] == "<0.001"


def test_a_method_no_better_than_the_mean_is_marked(store, tmp_path):
    for method, level in (("ggan", 0.3), ("knn", 0.5), ("train-mean", 0.5)):
        put(store, identity(method), level)
    rows = Page(boards(made(store, tmp_path).out)[0] / "all.html").rows
    marked = [row[1] for row in rows if "not better than train-mean" in "".join(row[1:2])]
    assert marked == ["knn not better than train-mean"]


def test_a_failed_method_and_one_with_failed_seeds_are_shown_as_such(store, tmp_path):
    put(store, identity("ggan", seed=0), 0.3)
    put(store, identity("ggan", seed=1), failure=FAILED)
    put(store, identity("knn"), failure=FAILED)
    site = made(store, tmp_path)
    rows = Page(boards(site.out)[0] / "all.html").rows
    by_method = {row[1]: row for row in rows if len(row) > 2}
    assert by_method["ggan partial"][0].strip() == "1"
    assert by_method["ggan partial"][11] == "1 of 2 (0 1✗)"
    assert by_method["knn failed"][:6] == ["–", "knn failed", "–", "–", "–", "–"]


def test_a_board_of_failures_alone_still_builds(store, tmp_path):
    put(store, identity("knn"), failure=FAILED)
    site = made(store, tmp_path)
    assert labels(Page(boards(site.out)[0] / "all.html")) == [("–", "knn failed")]


def test_times_of_another_epoch_are_marked_and_not_on_the_front(store, tmp_path):
    for method in ("lsr", "knn"):
        put(store, identity(method), 0.4)
    put(store, identity("knn-ge"), 0.2, timing={"epoch": 2}, seconds={"fit": 0.1, "predict": 0.1})
    folder = boards(made(store, tmp_path).out)[0]
    rows = csv.DictReader(io.StringIO((folder / "board.csv").read_text()))
    assert {row["method"]: row["times_ranked"] for row in rows} == {
        "lsr": "yes", "knn": "yes", "knn-ge": "no"
    }  # fmt: skip
    page = Page(folder / "all.html")
    (row,) = [cells for cells in page.standings if cells[1].startswith("knn-ge")]
    assert "0.100*" in row
    assert (
        "* times are ranked for made up, 2 cores, timing epoch 1. Not ranked: knn-ge" in page.text
    )
    fronts = [of["d"] for tag, of in page.tags if tag == "path" and of.get("class") == "front"]
    assert [path.count("L") for path in fronts] == [0, 0]


def test_downloads_hold_what_the_tables_show(store, tmp_path):
    record = put(store, identity("lsr"), 0.3)
    put(store, identity("knn"), failure=FAILED)
    folder = boards(made(store, tmp_path).out)[0]
    rows = {
        row["method"]: row
        for row in csv.DictReader(io.StringIO((folder / "board.csv").read_text()))
    }
    content = json.loads((folder / "board.json").read_text())
    assert float(rows["lsr"]["mae_strict"]) == pytest.approx(
        record.scores["mae"]["strict"].mean, rel=1e-5
    )
    assert (rows["lsr"]["rank_all"], rows["lsr"]["status"], rows["knn"]["status"]) == (
        "1",
        "done",
        "failed",
    )
    assert rows["knn"]["mae_all"] == ""
    assert content["data"] == record.identity.data
    assert [row["keys"] for row in content["rows"] if row["method"] == "lsr"] == [[record.key]]


def test_the_interval_over_seeds_alone_is_shown_where_there_are_several(store, tmp_path):
    maes = [
        put(store, identity("ggan", seed=seed), 0.3 + 0.01 * seed).scores["mae"]["all"].mean
        for seed in range(3)
    ]
    put(store, identity("lsr"), 0.5)
    site = made(store, tmp_path)
    folder = boards(site.out)[0]
    low, high = seed_interval(maes)
    texts = [page.text for page in map(Page, site.out.glob("methods/*.html"))]
    (with_seeds,) = [text for text in texts if f"seeds [{low:.4f}, {high:.4f}]" in text]
    assert with_seeds.strip().startswith("ggan")
    ggan, lsr = csv.DictReader(io.StringIO((folder / "board.csv").read_text()))
    assert float(ggan["mae_seed_low_all"]) == pytest.approx(low, rel=1e-5)
    assert float(ggan["mae_seed_high_all"]) == pytest.approx(high, rel=1e-5)
    assert lsr["mae_seed_low_all"] == ""


def test_no_text_of_a_download_is_a_formula_to_a_spreadsheet(store, tmp_path):
    formula = '=HYPERLINK("http://x","y")'
    put(store, identity("lsr", code=Code(distribution=formula, version="@SUM(1)", digest="ab")))
    folder = boards(made(store, tmp_path).out)[0]
    (row,) = csv.DictReader(io.StringIO((folder / "board.csv").read_text()))
    assert (row["distribution"], row["version"]) == (f"'{formula}", "'@SUM(1)")
    assert json.loads((folder / "board.json").read_text())["rows"][0]["distribution"] == formula


def test_a_board_of_few_groups_warns_of_rough_p_values(store, tmp_path):
    put(store, identity("lsr"))
    put(store, identity("knn"), 0.3)
    assert "p-values are rough" in Page(boards(made(store, tmp_path).out)[0] / "all.html").text


def test_the_first_metric_that_is_asked_for_is_what_ranks(store, tmp_path):
    vectors = vectors_with(0.3)
    vectors["gene-metric.cc"] = np.full(GENES, 0.1)
    for panel in ("all", "strict", "twin"):
        vectors[f"profile-share.cc.{panel}"] = np.full(PROFILES, 0.1)
    put(store, identity("knn"), vectors=vectors)
    put(store, identity("lsr"), 0.5)
    by_mae = made(store, tmp_path).out
    assert labels(Page(boards(by_mae)[0] / "all.html")) == [("1", "knn"), ("2", "lsr")]
    by_cc = made(store, tmp_path, metrics=["cc"]).out
    assert labels(Page(boards(by_cc)[0] / "all.html")) == [("1", "lsr"), ("2", "knn")]


@pytest.mark.parametrize(
    ("origin", "mark"),
    [
        (PluginOrigin(version="1", install="file"), "local file"),
        (PluginOrigin(version="1", install="editable", dirty=True), "dirty checkout"),
        (PluginOrigin(version="1", install="wheel"), ""),
    ],
)
def test_a_run_of_unpublished_code_is_marked(store, tmp_path, origin, mark):
    put(store, identity("lsr"), provenance=provenance(plugins={"genebench-linear": origin}))
    site = made(store, tmp_path)
    assert labels(Page(boards(site.out)[0] / "all.html")) == [("1", f"lsr {mark}".strip())]


def test_a_row_is_verified_when_all_of_its_runs_are(store, tmp_path):
    for seed in (0, 1):
        record = put(store, identity("ggan", seed=seed))
    verified = {
        "record": store.digest(record.key), "when": "2026", "genebench": "1", "metrics": ("mae",),
        "source": "predictions",
    }  # fmt: skip
    store.annotations.add(record.key, verified=verified)
    site = made(store, tmp_path)
    assert labels(Page(boards(site.out)[0] / "all.html")) == [("1", "ggan")]
    assert "verified" in Page(site.out / "runs" / f"{record.key}.html").text
    (first,) = set(store.keys()) - {record.key}
    store.annotations.add(first, verified={**verified, "record": store.digest(first)})
    site = made(store, tmp_path)
    assert labels(Page(boards(site.out)[0] / "all.html")) == [("1", "ggan verified")]


# Seals

THEIRS = Code(distribution="theirs", version="1.0", digest="cd")
SENDER = {"name": "A", "contact": "a@b", "licence": "", "created": "2026", "bundle": "0" * 64}


def board_of(out):
    """Return the page of the only board, and method → its cell in the column ``sealed``."""
    page = Page(boards(out)[0] / "all.html")
    at = next(i for i, name in enumerate(page.rows[0]) if name.strip() == "sealed")
    cells = {row[1].split("(")[0].split()[0]: row[at].strip() for row in page.rows if len(row) > 2}
    return page, cells


def test_a_row_says_how_it_was_sealed_and_a_legend_what_that_means(store, tmp_path):
    put(store, identity("lsr"))
    put(store, identity("net", code=THEIRS), seal={"level": "landlock", "abi": 7})
    put(store, identity("fish", code=THEIRS), failure=FAILED)
    out = made(store, tmp_path).out
    page, cells = board_of(out)
    assert (cells["lsr"], cells["net"], cells["fish"]) == ("no", "landlock", "–")
    assert "landlock: in a process without test data, confined by Landlock" in page.text
    assert "no: in the process that holds the test data" in page.text
    assert "view:" not in page.text
    assert "By its seal, no row could have cheated" in page.text
    rows = csv.DictReader(io.StringIO((boards(out)[0] / "board.csv").read_text()))
    assert {row["method"]: row["sealed"] for row in rows} == {
        "lsr": "no", "net": "landlock", "fish": "",
    }  # fmt: skip


@pytest.mark.parametrize("level", ["view", "no"])
def test_a_board_says_which_rows_could_have_cheated(store, tmp_path, level):
    put(store, identity("lsr"))
    record = put(store, identity("net", code=THEIRS), seal={"level": level, "reason": "old kernel"})
    out = made(store, tmp_path).out
    page, cells = board_of(out)
    assert cells["net"] == level
    assert dict(map(reversed, labels(page))).keys() == {"lsr", "net could have cheated"}
    assert "Could have cheated: net. This code is not of genebench" in page.text
    assert "could have cheated" in Page(out / "runs" / f"{record.key}.html").text


def test_a_row_is_sealed_as_its_weakest_seed(store, tmp_path):
    for seed, level in enumerate(("landlock", "view")):
        put(store, identity("net", seed=seed, code=THEIRS), seal={"level": level})
    page, cells = board_of(made(store, tmp_path).out)
    assert cells["net"] == "view"
    assert "Could have cheated: net" in page.text


def test_the_seal_of_a_bundle_is_shown_as_a_claim_of_its_sender(store, tmp_path):
    seal = {"level": "landlock", "abi": 7, "isolated": ("network", "ipc")}
    record = put(store, identity("net", code=THEIRS), seal=seal)
    put(store, identity("lsr"))
    store.annotations.add(record.key, submitted=SENDER)
    out = made(store, tmp_path).out
    page, cells = board_of(out)
    assert (cells["net"], cells["lsr"]) == ("landlock as the sender states", "no")
    assert "The seal of submitted runs (net) is as the sender states" in page.text
    run = Page(out / "runs" / f"{record.key}.html")
    assert "sealedlandlock (as the sender states)" in run.text
    assert (
        "sealedlandlock: in a process without test data, confined by Landlock, Landlock "
        "interface 7, isolated by namespaces: network, ipc"
    ) in made_with(run).text


def made_with(run):
    """Return the page of the code, the seal and the machine of a run."""
    [address] = [of["href"] for tag, of in run.tags if tag == "a" and "/made/" in of["href"]]
    return Page((run.path.parent / address).resolve())


def test_all_folds_of_a_method_are_one_row_and_its_page_lists_them(store, tmp_path):
    def fold(method, label, level):
        splits = {"all folds": "k-fold/3/0123456789abcdef", "rows of test": label}
        vectors = vectors_with(level, crc32(f"{method} {label}".encode()))
        vectors["profile.id"] = np.char.add(f"{label}-", vectors["profile.id"].astype(str))
        what = identity(
            method, protocol=f"five.{label}", test=f"geo/test/fold-{label}", splits=splits
        )
        return put(store, what, vectors=vectors)

    records = [fold("lsr", label, 0.3 + 0.1 * place) for place, label in enumerate("123")]
    records += [fold("knn", label, 0.9) for label in "123"]
    fold("knn-ge", "1", 0.5)
    site = made(store, tmp_path)
    assert len(list(site.out.glob("runs/*.html"))) == 7 + 3
    [board] = boards(site.out)
    assert labels(Page(board / "all.html"))[0][1].startswith("lsr")
    content = json.loads((board / "board.json").read_text())
    by_name = {row["method"]: row for row in content["rows"]}
    assert [len(row["keys"]) for row in by_name.values()] == [1, 1, 1]
    assert by_name["knn-ge"]["status"] == "failed"
    score = dict(zip(content["figures"], by_name["lsr"]["scores"]["all"]["mae"], strict=False))
    each = [record.scores["mae"]["all"].mean for record in records[:3]]
    assert score["mean"] == pytest.approx(np.mean(each), rel=1e-4)
    assert "corrected resampled t test over 3 folds" in Page(board / "all.html").text
    whole = Page(site.out / "runs" / f"{by_name['lsr']['keys'][0]}.html")
    links = {of.get("href") for tag, of in whole.tags if tag == "a"}
    assert {f"{record.key}.html" for record in records[:3]} <= links
    assert all((site.out / "runs" / f"{record.key}.html").exists() for record in records)


def test_the_page_of_a_run_says_why_its_seal_is_no_better(store, tmp_path):
    record = put(store, identity("net"), seal={"level": "view", "reason": HOSTILE})
    path = made(store, tmp_path).out / "runs" / f"{record.key}.html"
    made_page = made_with(Page(path))
    assert "Reason: <script>alert(1)" in made_page.text
    assert "<script>alert" not in made_page.path.read_text("utf-8")


# Pages


def test_every_link_leads_to_a_file_of_the_site_and_nothing_else_is_asked_for(store, tmp_path):
    put(store, identity("lsr"))
    put(store, identity("knn"), failure=FAILED)
    (store.root / f"{'0' * 24}.json").write_text("{}")
    out = made(store, tmp_path).out
    pages = sorted(out.rglob("*.html"))
    assert len(pages) == 1 + 3 + 2 + 2 + 1 + 1 + 1
    for path in pages:
        page = Page(path)
        assert page.all("html") == [{"lang": "en"}]
        assert any(meta.get("http-equiv") for meta in page.all("meta"))
        for link in page.links():
            target = (path.parent / unquote(link)).resolve()
            assert link == "data:," or (target.is_file() and target.is_relative_to(out)), link
        # The policy of the page admits no script or style of its own.
        assert all("style" not in attributes for _, attributes in page.tags)
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_a_run_has_its_scores_its_distribution_its_curve_and_its_provenance(store, tmp_path):
    record = put(store, identity("lsr"), 0.3)
    out = made(store, tmp_path).out
    page = Page(out / "runs" / f"{record.key}.html")
    assert f"{record.scores['cc']['twin'].mean:.4f}" in page.text
    drawn = [svg.get("aria-label", "bars") for svg in page.all("svg")]
    assert drawn == ["bars", "bars", "learning: mae geo"]
    with np.load(next(store.root.glob("*.npz"))) as vectors:
        low, high = np.percentile(vectors["gene-metric.mae"], (0.5, 99.5))
    assert f"{low:.4f} to {high:.4f}" in page.text
    assert "genebench run --dataset sim --preset tiny --methods lsr --protocol geo" in page.text
    (machine,) = [link for link in page.links() if link.startswith("../made/")]
    assert "node" in Page(out / "runs" / machine).text


def test_parameters_are_listed_unless_the_command_sets_them_all(store, tmp_path):
    by_command = put(store, identity("gone", params={"k": 3}))
    defaults = registry().methods.specs["lsr-l2"].values("tiny", {})
    by_preset = put(store, identity("lsr-l2", params=defaults))
    quoted = put(store, identity("gone", params={"a": "x y --set gone.b=1", "b": "$1"}))
    runs = made(store, tmp_path).out / "runs"
    assert "gone.k=3" in Page(runs / f"{by_command.key}.html").text
    assert "<dt>parameters" not in (runs / f"{by_command.key}.html").read_text("utf-8")
    assert "<dt>parameters" not in (runs / f"{quoted.key}.html").read_text("utf-8")
    text = Page(runs / f"{by_preset.key}.html").text
    assert re.search(r"parameters.*defaults", text)


def test_a_failed_run_says_why(store, tmp_path):
    record = put(store, identity("lsr"), failure=FAILED)
    page = Page(made(store, tmp_path).out / "runs" / f"{record.key}.html")
    assert "ValueError: no luck" in page.text
    assert "Traceback\n  line" in page.text or "Traceback\n line" in page.text


def test_the_command_that_repeats_a_run_sets_what_is_not_the_preset(store):
    spec = registry().methods.specs["knn"]
    params = spec.values("tiny", {}) | {"k_max": 7}
    code = Code(distribution="genebench-knn", version="1", digest="")
    record = put(store, identity("knn", params=params, seed=2, code=code))
    command = repeat_command(record, registry())
    assert command == (
        "genebench run --dataset sim --preset tiny --methods knn --protocol geo --seeds 3 "
        "--set knn.k_max=7"
    )
    assert chosen_params(record, spec)["k_max"] == 7


def test_the_command_names_local_files_and_metrics_that_one_has_to_ask_for(store):
    origins = {
        "mine.py": PluginOrigin(version="ab", install="file"),
        "genebench": PluginOrigin(version="1", install="built-in"),
    }
    metrics = dict.fromkeys(("mae", "spearman", "of-another-plugin"), "0")
    record = put(
        store, identity("mine"), provenance=provenance(plugins=origins), metrics=metrics
    )  # fmt: skip
    assert repeat_command(record, registry()) == (
        "genebench run --dataset sim --preset tiny --plugin mine.py --methods mine "
        "--protocol geo --metrics spearman,of-another-plugin"
    )


def test_a_long_command_is_shown_whole(store, tmp_path):
    params = {f"parameter_{number}": number for number in range(40)}
    record = put(store, identity("lsr", params=params))
    command = repeat_command(record, registry())
    assert len(command) > 1000
    assert command in Page(made(store, tmp_path).out / "runs" / f"{record.key}.html").text


def test_bars_are_as_high_as_their_counts_and_end_on_the_ground():
    assert histogram(Histogram(0, 1, (1, 2, 2, 4))) == (
        '<svg viewBox="0 0 32 24" aria-hidden=true><path d="M0 24v-6h8v-6h16v-12h8V24"/></svg>'
    )


def test_the_bins_of_a_histogram_are_those_of_sorted_values(store):
    spread = summarise(Run(put(store, identity("lsr"), 0.4), store.root), ["mae"]).spreads["mae"]
    values = vectors_with(0.4, crc32(b"lsr 0"))["gene-metric.mae"]
    edges = np.linspace(spread.low, spread.high, BINS + 1)[1:-1]
    counts = np.diff([0, *np.searchsorted(np.sort(values), edges), GENES])
    assert spread.counts == tuple(counts)


def test_genes_that_all_have_one_value_have_a_histogram(store):
    vectors = vectors_with(0.4)
    for name in vectors:
        if name.startswith(("gene-metric", "profile-share")):
            vectors[name] = np.full_like(vectors[name], 0.25)
    record = put(store, identity("lsr"), vectors=vectors)
    spread = summarise(Run(record, store.root), ["mae"]).spreads["mae"]
    assert (spread.low, spread.high, spread.counts[0]) == (0.25, 1.25, GENES)


def test_the_histogram_counts_every_gene(store):
    record = put(store, identity("lsr"))
    summary = summarise(Run(record, store.root), ["mae"])
    assert len(summary.spreads["mae"].counts) == BINS
    assert sum(summary.spreads["mae"].counts) == GENES


def test_the_digest_of_the_split_is_that_of_the_test_profiles(store):
    one = summarise(Run(put(store, identity("lsr")), store.root), ["mae"])
    vectors = vectors_with(0.4)
    vectors["profile.id"] = vectors["profile.id"][::-1].copy()
    other = summarise(Run(put(store, identity("knn"), vectors=vectors), store.root), ["mae"])
    assert one.test_profiles != other.test_profiles


# Bad input


def hostile_text(store):
    return put(
        store,
        identity("lsr", params={"name": HOSTILE}, data="../../x", train=HOSTILE),
        dataset=HOSTILE, preset=HOSTILE, notes=(HOSTILE,), choices={HOSTILE: HOSTILE},
        provenance=provenance(command=HOSTILE, host=HOSTILE, versions={HOSTILE: HOSTILE * 5}),
        curves={HOSTILE: {HOSTILE: (1.0, 2.0), f"mae {HOSTILE}": (0.5, 0.4)}},
    )  # fmt: skip


def test_hostile_text_is_shown_as_text_and_never_a_path(store, tmp_path):
    hostile_text(store)
    put(store, identity("knn"), failure=Failure(kind=HOSTILE, message=HOSTILE, traceback=HOSTILE))
    out = made(store, tmp_path).out
    for path in out.rglob("*"):
        assert path.parent.name == "vendor" or re.fullmatch(r"[a-z0-9-]+(\.[a-z]+)?", path.name)
        if path.suffix != ".html":
            continue
        page = Page(path)
        assert all(set(script) == {"defer", "src"} for script in page.all("script"))
        text = path.read_text("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert len(text) < 20_000
    assert "<script>alert(1)" in Page(out / "index.html").text


def test_a_long_text_is_cut():
    assert len(str(shown("x" * 10_000))) < 400
    assert shown("a\nb\x00c") == "a b�c"
    assert shown(3) == 3


def test_words_in_a_drawing_are_text():
    drawn = [
        curve([(HOSTILE, (0.5, 0.4))], (HOSTILE, (1.0, 2.0)), None, HOSTILE),
        curve([(HOSTILE, (0.5, 0.4)), (HOSTILE, (0.3, 0.2))], (HOSTILE, (1, 2)), 1, HOSTILE),
        scatter([Dot(HOSTILE, 1, 0.5)], HOSTILE, HOSTILE, lower_is_better=True),
    ]
    for svg in drawn:
        assert "<script" not in svg
        assert svg.count('"') == svg.count('="') * 2


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


DAMAGES = {
    "a missing key": lambda content: content.pop("scores"),
    "a future format": lambda content: content.update(format=99),
    "a score that is NaN": lambda content: content["scores"]["mae"]["all"].update(
        mean=float("nan")
    ),
    "a score edited by hand": lambda content: content["scores"]["mae"]["all"].update(mean=0.01),
    "another identity": lambda content: content["identity"].update(seed=7),
    "a hostile method": lambda content: content["identity"].update(method="<script>" * 1000),
    "no number of training profiles": lambda content: content["profiles"].pop("train"),
    "no number of landmarks": lambda content: content["genes"].pop("landmark"),
    "endless training profiles": lambda content: content["profiles"].update(train=10**400),
    "an endless model": lambda content: content.update(model_parameters=10**400),
    "an endless choice": lambda content: content.update(choices={"epoch": 10**400}),
    "a negative number of genes": lambda content: content["genes"].update(target=-1),
    "a curve of uneven columns": lambda content: curve_of(content, [1, 2, 3], [0.5]),
    "a curve without points": lambda content: curve_of(content, [], []),
    "half a curve": lambda content: curve_of(content, [1, 2, 3], []),
    "a curve out of bounds": lambda content: curve_of(content, [1, 2, 3], [1e308, -1e308, 0]),
    "a curve along no axis": lambda content: curve_of(content, [-1.7e308, 2, 1.7e308], [1, 2, 3]),
    "an endless fit": lambda content: content["seconds"].update(fit=1.7e308),
    "a negative time": lambda content: content["seconds"].update(fit=-3),
    "a time edited by hand": lambda content: content["seconds"].update(fit=0.001),
    "a removed checksum": lambda content: content.update(checksum=""),
    "a time edited by hand, called older": lambda content: content.update(
        format=1, seconds={"fit": 0.001}
    ),
}


def curve_of(content, x, y):
    content["curves"]["learning"] = {"epoch": x, "mae geo": y}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_bad_record_is_named_and_the_rest_is_built(store, tmp_path, damage):
    put(store, identity("lsr"))
    bad = put(store, identity("knn"), 0.3)
    edit(store.root / f"{bad.key}.json", damage)
    site = made(store, tmp_path)
    (problem,) = site.built.problems
    assert bad.key in problem
    assert len(problem) < 500
    assert labels(Page(boards(site.out)[0] / "all.html")) == [("1", "lsr")]
    assert bad.key in Page(site.out / "problems.html").text
    assert not (site.out / "runs" / f"{bad.key}.html").exists()


def one_bit(path):
    content = bytearray(path.read_bytes())
    with np.load(path) as vectors:
        content[content.index(vectors["gene-metric.mae"][30].tobytes())] ^= 1
    path.write_bytes(content)


def shorter(path):
    vectors = dict(np.load(path))
    vectors["gene-metric.mae"] = vectors["gene-metric.mae"][:-1]
    np.savez(path, **vectors)


def other_shares(path):
    vectors = dict(np.load(path))
    vectors |= {name: v / 2 for name, v in vectors.items() if name.startswith("profile-share.mae")}
    np.savez(path, **vectors)


@pytest.mark.parametrize(
    "damage",
    [
        shorter,
        one_bit,
        other_shares,
        lambda path: path.write_bytes(b"PK no zip"),
        lambda path: path.unlink(),
    ],
    ids=["too short", "one bit changed", "shares edited", "no zip", "missing"],
)
def test_vectors_that_cannot_be_trusted_cost_their_record(store, tmp_path, damage):
    put(store, identity("lsr"))
    bad = put(store, identity("knn"))
    damage(store.paths.vectors(bad))
    site = made(store, tmp_path)
    assert len(site.built.problems) == 1
    assert site.built.runs == 1


def test_scores_and_vectors_that_were_edited_alike_are_found(store, tmp_path):
    put(store, identity("lsr"))
    bad = put(store, identity("knn"), 0.5)
    vectors = vectors_with(0.01)
    np.savez(store.paths.vectors(bad), **vectors)
    forged = {
        metric: {panel: score.model_dump() for panel, score in panels.items()}
        for metric, panels in scores_of(vectors).items()
    }
    edit(store.root / f"{bad.key}.json", lambda content: content.update(scores=forged))
    site = made(store, tmp_path)
    assert [bad.key in problem for problem in site.built.problems] == [True]
    assert labels(Page(boards(site.out)[0] / "all.html")) == [("1", "lsr")]


def test_shares_that_do_not_add_up_to_the_score_are_found(store, tmp_path):
    """All checksums are right, but the intervals would belong to another score."""
    put(store, identity("lsr"))
    vectors = vectors_with(0.4)
    vectors["profile-share.mae.all"] = vectors["profile-share.mae.all"] / 2
    put(store, identity("knn"), vectors=vectors)
    (problem,) = made(store, tmp_path).built.problems
    assert "do not add up" in problem


def test_an_unforeseen_error_in_vectors_costs_their_record_alone(store, tmp_path, monkeypatch):
    put(store, identity("lsr"))
    bad = put(store, identity("knn"))
    vectors = ResultsStore.vectors

    def fail_for_one(store, record, names=None):
        return vectors(store, record, names) if record.key != bad.key else {}[record.key]

    monkeypatch.setattr(ResultsStore, "vectors", fail_for_one)
    site = made(store, tmp_path)
    (problem,) = site.built.problems
    assert problem == f"{store.root}: record {bad.key}: cannot be shown (KeyError: '{bad.key}')"
    assert site.built.runs == 1


def test_a_page_that_cannot_be_made_costs_its_run_and_not_the_board(store, tmp_path, monkeypatch):
    put(store, identity("lsr"))
    bad = put(store, identity("knn"), 0.3)
    page = run_pages.run_page

    def fail_for_one(task, options):
        return 1 / 0 if task.run.key == bad.key else page(task, options)

    monkeypatch.setattr(run_pages, "run_page", fail_for_one)
    site = made(store, tmp_path)
    (problem,) = site.built.problems
    assert problem.endswith(f"{bad.key}: cannot be shown (ZeroDivisionError: division by zero)")
    assert labels(Page(boards(site.out)[0] / "all.html")) == [("1", "lsr")]
    assert bad.key in Page(site.out / "problems.html").text
    assert not (site.out / "runs" / f"{bad.key}.html").exists()
    assert site.built.runs == 1


def test_a_board_of_runs_that_all_fail_to_be_shown_is_none(store, tmp_path, monkeypatch):
    bad = put(store, identity("knn"), 0.3)
    monkeypatch.setattr(run_pages, "run_page", lambda *_: 1 / 0)
    with pytest.raises(UserError, match=f"no record to make a board of. .*{bad.key}"):
        made(store, tmp_path)
    assert not (tmp_path / "site").exists()


def test_two_folders_are_one_board_and_records_of_both_are_shown_once(store, tmp_path):
    other = ResultsStore(tmp_path / "other")
    other.prepare()
    put(store, identity("lsr"))
    put(other, identity("lsr"))
    put(other, identity("knn"))
    site = made(store, tmp_path, other.root)
    assert (site.built.runs, site.built.problems) == (2, ())


def test_different_records_under_one_key_are_named_and_the_first_is_shown(store, tmp_path):
    other = ResultsStore(tmp_path / "other")
    other.prepare()
    ours = put(store, identity("lsr"), 0.4)
    put(other, identity("lsr"), 0.3)
    reading = read([store.root, other.root])
    (problem,) = reading.problems
    assert ours.key in problem
    assert reading.runs[0].record.scores == ours.scores


def verify(store, record):
    """Mark a record as verified."""
    mark = {"record": store.digest(record.key), "when": "", "genebench": "1", "metrics": ("mae",)}
    mark["source"] = "predictions"
    store.annotations.add(record.key, verified=mark)


def test_a_mark_does_not_pass_to_another_record_of_the_same_key(store, tmp_path):
    forged = ResultsStore(tmp_path / "forged")
    forged.prepare()
    verify(store, put(store, identity("lsr"), 0.4))
    put(forged, identity("lsr"), 0.1)
    (shown_,) = read([forged.root, store.root]).runs
    assert (shown_.folder, shown_.marks) == (forged.root, ())
    (shown_,) = read([store.root, forged.root]).runs
    assert (shown_.folder, shown_.marks) == (store.root, ("verified",))


def test_a_copy_of_a_record_has_the_marks_of_both(store, tmp_path):
    record = put(store, identity("lsr"), 0.4)
    other = ResultsStore(shutil.copytree(store.root, tmp_path / "copy"))
    verify(other, record)
    (shown_,) = read([store.root, other.root]).runs
    assert (shown_.folder, shown_.marks) == (store.root, ("verified",))


def test_a_record_that_is_done_goes_before_one_that_failed(store, tmp_path):
    other = ResultsStore(tmp_path / "other")
    other.prepare()
    put(store, identity("lsr"), failure=FAILED)
    done = put(other, identity("lsr"))
    reading = read([store.root, other.root])
    assert (reading.runs[0].record, reading.problems) == (done, ())


def test_a_folder_of_something_else_is_named_and_the_rest_is_built(store, tmp_path):
    put(store, identity("lsr"))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "run.log").write_text("")
    site = made(store, tmp_path, foreign, tmp_path / "nowhere")
    assert [str(folder) in problem for folder, problem in zip(
        (foreign, tmp_path / "nowhere"), site.built.problems, strict=True
    )] == [True, True]  # fmt: skip


def test_no_record_at_all_is_the_users_mistake(store, tmp_path):
    with pytest.raises(UserError) as caught:
        made(store, tmp_path)
    assert str(caught.value) == (
        f"There is no record to make a board of. {store.root}: no results yet. "
        "Run a benchmark first."
    )
    assert not (tmp_path / "site").exists()


def test_trials_alone_are_no_board(store, tmp_path):
    put(store, identity("knn", test="geo/validation"))
    with pytest.raises(UserError, match=r"All records are trials of tuning\. Run a benchmark"):
        made(store, tmp_path)


# The folder of the site


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(store, tmp_path):
    put(store, identity("lsr"))
    out = tmp_path / "site"
    out.mkdir()
    (out / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match="other files than a board"):
        made(store, tmp_path)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_files_that_were_put_beside_a_board_are_never_lost(store, tmp_path):
    put(store, identity("lsr"))
    out = made(store, tmp_path).out
    (out / "CNAME").write_text("example.org")
    with pytest.raises(UserError, match="CNAME"):
        made(store, tmp_path)
    assert (out / "CNAME").exists()
    assert (out / "index.html").exists()


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(store, tmp_path):
    put(store, identity("lsr"))
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "site"
    with pytest.raises(UserError) as caught:
        build([store.root], out)
    assert str(caught.value) == (
        f"{out}: cannot write there (file exists). Name another folder with --out."
    )


def test_a_board_is_replaced_whole(store, tmp_path):
    old = put(store, identity("lsr"))
    out = made(store, tmp_path).out
    (store.root / f"{old.key}.json").unlink()
    new = put(store, identity("knn"))
    made(store, tmp_path)
    assert [path.stem for path in (out / "runs").iterdir()] == [new.key]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "site"]


def test_a_build_that_fails_leaves_the_earlier_board(store, tmp_path, monkeypatch):
    put(store, identity("lsr"))
    out = made(store, tmp_path).out
    before = (out / "index.html").read_text()
    monkeypatch.setattr("genebench.leaderboard.site.board_page", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made(store, tmp_path)
    assert (out / "index.html").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "site"]


def test_the_same_results_give_the_same_pages(store, tmp_path):
    put(store, identity("lsr"))
    put(store, identity("knn"), 0.3)
    first = {path: path.read_bytes() for path in sorted(made(store, tmp_path).out.rglob("*.html"))}
    again = {path: path.read_bytes() for path in sorted(made(store, tmp_path).out.rglob("*.html"))}
    assert first == again


def test_several_processes_make_the_same_pages_as_one(store, tmp_path, monkeypatch):
    for method in ("lsr", "knn", "ggan"):
        put(store, identity(method))
    alone = {path: path.read_bytes() for path in made(store, tmp_path).out.rglob("*.*")}
    monkeypatch.setattr("genebench.leaderboard.pool.PARALLEL_FROM_TASKS", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    together = {path: path.read_bytes() for path in made(store, tmp_path).out.rglob("*.*")}
    assert alone == together


SCRIPT = """
import sys
from pathlib import Path

print("the script runs")
from genebench.leaderboard import pool
from genebench.leaderboard.assembly import build

pool.PARALLEL_FROM_TASKS = 1
pool.cpu_count = lambda: 2
print(build([Path(sys.argv[1])], Path(sys.argv[2])).runs)
"""


@pytest.mark.parametrize("as_file", [True, False], ids=["a file", "standard input"])
def test_a_script_without_a_guard_builds_in_several_processes_and_runs_once(
    store, tmp_path, as_file
):
    put(store, identity("lsr"))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script if as_file else "-", store.root, tmp_path / "site"],
        input=None if as_file else SCRIPT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("the script runs\n1\n", "")


# The command


def test_the_command_builds_names_problems_and_says_where(store, tmp_path, genebench):
    put(store, identity("lsr"))
    (store.root / f"{'0' * 24}.json").write_text("{}")
    done = genebench("leaderboard", store.root, "--out", tmp_path / "site")
    assert done.status == 0
    assert done.out == f"{tmp_path / 'site' / 'index.html'}: 1 boards of 1 runs\n"
    assert "0" * 24 in done.err


def test_an_unknown_metric_is_the_users_mistake(store, tmp_path, genebench):
    put(store, identity("lsr"))
    done = genebench("leaderboard", store.root, "--out", tmp_path / "site", "--metrics", "mea")
    assert done.status == 2
    assert "Did you mean mae" in done.err


# Drawings


def test_an_axis_places_its_ends_and_its_middle():
    assert [Axis(0, 10, 100, 0)(value) for value in (0, 5, 10)] == [100, 50, 0]
    assert [Axis(1, 100, 0, 20, log=True)(value) for value in (1, 10, 100)] == [0, 10, 20]


@pytest.mark.parametrize("high", [0.7, 0.85, 0.99, 1.01, 5, 123])
def test_an_axis_has_two_ticks_or_more_for_one_is_no_scale(high):
    ticks = Axis(0.16, high, 0, 100).ticks()
    assert 2 <= len(ticks) <= 6
    assert all(0.16 <= at <= high for at in ticks)


def test_names_in_the_plot_stand_beside_dots_and_not_on_them():
    dots = [
        Dot("lsr", 0.091, 0.4145), Dot("knn", 0.102, 0.4305), Dot("ggan", 40, 0.4008),
        Dot("mean", 0.002, 0.78, control=True),
    ]  # fmt: skip
    drawn = scatter(dots, "cost", "error", lower_is_better=True)
    for drawing, width in zip(drawn.split("</svg>"), (720, 360), strict=False):
        circles = [tuple(map(float, at)) for at in re.findall(r"cx=([\d.]+) cy=([\d.]+)", drawing)]
        names = re.findall(r'class="name( e)?" x=([\d.]+) y=([\d.]+)>(\w+)<', drawing)
        assert len(names) == len(circles) == 4
        for anchor, x, y, word in names:
            across, base = 6.2 * len(word), float(y)
            left = float(x) - across if anchor else float(x)
            assert 0 <= left < left + across <= width
            for cx, cy in circles:
                assert not (left < cx < left + across and base - 9 < cy < base + 3), word


def test_controls_do_not_stretch_the_plot():
    methods = [Dot("a", 1, 0.40), Dot("b", 2, 0.41), Dot("c", 4, 0.42)]
    control = Dot("mean", 0.001, 9.0, control=True)
    alone = scatter(methods, "cost", "error", lower_is_better=True)
    both = scatter([*methods, control], "cost", "error", lower_is_better=True)

    def dots(drawn):
        return re.findall(r"circle class=dot cx=([\d.]+) cy=([\d.]+)", drawn)

    assert dots(both) == dots(alone)
    assert "mean: error 9.0000" in both


def test_a_long_curve_is_thinned_and_keeps_both_ends():
    kept = thinned(1000)
    assert (kept[0], kept[-1]) == (0, 999)
    assert len(kept) < 50
    assert len(thinned(1000, most=60)) == 60
    assert thinned(5) == [0, 1, 2, 3, 4]


def test_a_trace_ends_where_the_curve_does():
    x, y = 0, 0
    trace = _trace([(0, 5), (10, 5), (20, 5), (30, 9), (40, 9)])
    assert trace.startswith("M0 5")
    for horizontal, dx, dy in re.findall(r"h(-?\d+)|l(-?\d+)[ ]?(-?\d+)", trace):
        x, y = x + int(horizontal or dx), y + int(dy or 0)
    assert (x, y) == (40, 4)


def test_the_front_is_of_methods_that_no_cheaper_one_beats():
    dots = [
        Dot("slow", 9, 0.3), Dot("quick", 1, 0.5), Dot("worse", 5, 0.6), Dot("mid", 4, 0.4),
        Dot("control", 0.1, 0.1, control=True),
    ]  # fmt: skip
    assert [dot.label for dot in _front(dots, lower_is_better=True)] == ["quick", "mid", "slow"]
