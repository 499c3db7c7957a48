"""The numbers behind the charts of a board: what they say, and how they are packed."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from itertools import combinations
from zlib import crc32

import numpy as np
import pytest

from genebench.leaderboard.assembly import build
from genebench.leaderboard.payloads.genes import site_room
from genebench.leaderboard.payloads.packing import bytes_of, quantised, script, step_for
from genebench.results.store import ResultsStore
from tests.leaderboard.test_site import (
    GENES,
    HOSTILE,
    Code,
    identity,
    provenance,
    put,
    vectors_with,
)

SCRIPT = re.compile(r'\(globalThis\.genebenchData\?\?=\{\}\)\.(\w+)="([A-Za-z0-9+/=]+)";\n')


def unpacked(text):
    return json.loads(zlib.decompress(b64decode(SCRIPT.fullmatch(text)[2])))


def payload(site, name, protocol="geo"):
    """Return a document of the board of a protocol."""
    (page,) = [
        path
        for path in site.glob("boards/*/all.html")
        if f"protocol {protocol}, " in path.read_text("utf-8")
    ]
    return unpacked((page.parent / f"{name}.js").read_text("utf-8"))


LEVELS = {"lsr": 0.30, "knn": 0.36, "knn-ge": 0.361, "dgex": 0.45}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build a site of four methods under two protocols, one of them with three training sizes."""
    folder = tmp_path_factory.mktemp("payloads")
    store = ResultsStore(folder / "results")
    store.prepare()
    for number, (method, level) in enumerate(LEVELS.items()):
        for seed in (0, 1) if method == "dgex" else (0,):
            started = f"2026-0{4 - number}-01T00:00:0{seed}+00:00"
            put(store, identity(method, seed=seed), level, provenance=provenance(started=started))
    put(store, identity("lsr", protocol="gtex", test="gtex/test"), 0.5)
    put(store, identity("knn", protocol="gtex", test="gtex/test", params={"k": 3}), 0.6)
    for size in (100, 200):
        what = identity("lsr", protocol=f"geo-n{size}", train=f"geo/train/{size}-profiles")
        put(store, what, 0.5, profiles={"train": size, "validation": 40, "test": 24})
    mean = identity("train-mean", code=Code(distribution="genebench", version="1", digest="ab"))
    put(store, mean, 0.9, provenance=provenance(started="yesterday"))
    for level, text in ((0.8, HOSTILE), (0.85, "{a|b}")):
        put(store, identity("evil", params={"a": text}), level)
    build([folder / "results"], folder / "site")
    return folder / "site"


# Packing


def test_no_text_of_a_record_can_leave_a_script():
    document = {HOSTILE: ["</script>", "';alert(1)", HOSTILE]}
    assert unpacked(script("tabs", document)) == document


@pytest.mark.parametrize(
    ("values", "step"),
    [([0.1, 0.3], 0.0005), ([1.0, 3.0], 0.005), ([0.0, 0.0], 0.005), ([5.0, 5.0], 0.02)],
)
def test_a_step_is_round_and_small_beside_the_spread(values, step):
    assert step_for(np.array(values), 0.005) == step


def test_a_step_grows_until_the_range_fits():
    values = np.append(np.zeros(10**6), 1e6)
    assert np.ptp(values) / step_for(values, 1e-9) <= 2**16 - 1


def test_numbers_come_back_from_differences():
    random = np.random.default_rng(0)
    base, other = (random.integers(0, 2**16, 100).astype(np.uint16) for _ in "ab")
    written = np.frombuffer(bytes_of(other, base), np.uint8).astype(np.uint16)
    assert ((written[:100] + 256 * written[100:] + base).astype(np.uint16) == other).all()


def test_values_beyond_the_numbers_stand_at_the_end():
    assert quantised(np.array([-1.0, 0.26, 1e9]), 0.0, 0.1).tolist() == [0, 3, 65535]


# Scores and pairs


@pytest.mark.parametrize("metric", ["mae", "cc"])
def test_pairs_agree_with_the_ranks_of_the_table(site, metric):
    tabs = payload(site, "tabs")
    panel = tabs["panels"][metric]["all"]
    labels = [variant["label"] for variant in tabs["variants"]]
    assert [labels[number] for number in panel["ranked"]][:2] == ["lsr", "knn"]
    ranks = {place[0]: place[4] for place in panel["places"]}
    pairs = list(combinations(panel["ranked"], 2))
    assert len(pairs) == len(panel["p"]) == 15
    for (a, b), p in zip(pairs, panel["p"], strict=True):
        assert 1 <= p <= 10_000
        # A rank counts the methods that are significantly better.
        if ranks[a] == ranks[b]:
            assert p > 500
    behind = dict.fromkeys(panel["ranked"], 1)
    for (_, b), p in zip(pairs, panel["p"], strict=True):
        behind[b] += p <= 500
    assert behind == {number: ranks[number] for number in panel["ranked"]}


def test_a_control_has_a_score_and_no_pair(site):
    tabs = payload(site, "tabs")
    (control,) = [n for n, variant in enumerate(tabs["variants"]) if variant["control"]]
    panel = tabs["panels"]["mae"]["all"]
    assert control not in panel["ranked"]
    assert panel["places"][-1][0] == control


# Protocols


def test_methods_are_matched_across_protocols_by_parameters(site):
    table = payload(site, "tabs")["protocols"]
    assert [(column["protocol"], column["here"]) for column in table["columns"]] == [
        ("geo", True), ("gtex", False)
    ]  # fmt: skip
    cells = {row["label"]: row["cells"]["mae"]["all"] for row in table["rows"]}
    assert [cell[1] for cell in cells["lsr"]] == [1, 1]
    assert cells["knn-ge"][1] is None
    by_cc = {row["label"]: row["cells"]["cc"]["all"] for row in table["rows"]}
    # The made-up CC of a run is 1 − its MAE.
    assert by_cc["lsr"][0] == [pytest.approx(1 - cells["lsr"][0][0], abs=1e-4), 1]
    knn = [
        row for row in table["rows"] if row["label"].startswith("knn") and "-" not in row["label"]
    ]
    assert [[cell is not None for cell in row["cells"]["mae"]["all"]] for row in knn] == [
        [True, False], [False, True]
    ]  # fmt: skip


def test_a_page_has_the_table_without_scripts(site):
    page = next(
        p for p in site.glob("boards/*/all.html") if "protocol geo, " in p.read_text("utf-8")
    )
    (text,) = re.findall(
        r'aria-label="Methods and protocols".*?</table>', page.read_text("utf-8"), re.DOTALL
    )
    assert re.search(r"lsr<td>0\.\d{4}<td>0\.\d{4}", text)
    assert "knn-ge<td>0." in text
    assert "<script" not in text


# Dates


def test_runs_are_in_the_order_of_their_start(site):
    tabs = payload(site, "tabs")
    history = tabs["history"]
    assert history["second"] == sorted(history["second"])
    labels = [tabs["variants"][number]["label"] for number in history["variant"]]
    assert labels.index("dgex") < labels.index("knn-ge") < labels.index("knn") < labels.index("lsr")
    assert history["undated"] == 1
    for metric in ("mae", "cc"):
        assert len(history["scores"][metric]["all"]) == len(labels) == 7
    assert history["scores"]["mae"]["all"] != history["scores"]["cc"]["all"]


# Curves


def test_a_curve_has_its_axis_and_the_choice(site):
    tabs = payload(site, "tabs")
    lines = tabs["curves"]["learning"]
    assert len(lines) == 7
    line = lines[0]
    assert tabs["variants"][line["variant"]]["label"] == "lsr"
    assert (line["x"], line["xs"], line["chosen"]) == ("epoch", [1.0, 2.0, 3.0], 2.0)
    assert line["columns"] == [["mae geo", [0.5, 0.4, 0.45]]]


def test_training_sizes_stand_on_every_board_of_the_protocol(site):
    for protocol in ("geo", "geo-n100"):
        sizes = payload(site, "tabs", protocol)["sizes"]
        assert sizes["sizes"] == [100, 200, 300]
        (lsr,) = [line for line in sizes["lines"] if line["label"] == "lsr"]
        for metric in ("mae", "cc"):
            assert [point[0] for point in lsr["points"][metric]["all"]] == [100, 200, 300]
    assert payload(site, "tabs", "gtex")["sizes"] is None


# Genes


def values_of(genes):
    """Return number of a variant → the value of each gene, as the page works it out."""
    first, values = None, {}
    for number, text in genes["methods"]:
        written = np.frombuffer(zlib.decompress(b64decode(text)), np.uint8).astype(np.uint16)
        steps = written[: genes["count"]] + 256 * written[genes["count"] :]
        steps = steps if first is None else (steps + first).astype(np.uint16)
        first = steps if first is None else first
        values[number] = genes["low"] + genes["step"] * steps
    return values


def test_errors_of_genes_are_those_of_the_records_to_half_a_step(site):
    tabs, genes = payload(site, "tabs"), payload(site, "genes")
    labels = {number: variant["label"] for number, variant in enumerate(tabs["variants"])}
    values = {labels[number]: value for number, value in values_of(genes).items()}
    for method, seeds in (("lsr", [0]), ("dgex", [0, 1])):
        expected = np.mean(
            [vectors_with(LEVELS[method], crc32(f"{method} {seed}".encode()))["gene-metric.mae"]
             for seed in seeds], axis=0,
        )  # fmt: skip
        assert abs(values[method] - expected).max() <= genes["step"] / 2 + 1e-6
    assert genes["step"] < 0.005
    assert genes["left_out"] == 0
    assert "train-mean" in values


def test_boards_of_the_same_genes_share_their_names(site):
    assert payload(site, "genes")["names"] == payload(site, "genes", "gtex")["names"]
    (names,) = site.glob("genes/*.js")
    document = unpacked(names.read_text("utf-8"))
    assert len(document["ids"]) == GENES
    assert document["twin"] == list(range(10))


def test_a_board_without_room_has_two_methods_and_says_how_many_it_lacks(
    site, monkeypatch, tmp_path
):
    monkeypatch.setattr("genebench.leaderboard.payloads.files.site_room", lambda *_: 0)
    build([site.parent / "results"], tmp_path / "site")
    genes = payload(tmp_path / "site", "genes")
    assert (len(genes["methods"]), genes["left_out"]) == (2, 5)


def test_room_shrinks_as_a_site_grows():
    rooms = [site_room(n_runs, 5) for n_runs in (10, 1_000, 5_000, 50_000)]
    assert rooms == sorted(rooms, reverse=True)
    assert 5 * rooms[2] <= 250_000
    assert rooms[3] > 0
