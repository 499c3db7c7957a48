"""What figures say: titles, units, numbers of genes, profiles and seeds, as read from SVG."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

import genebench
from genebench.cli import invoke

pytest.importorskip("matplotlib")

UNIT = "standard deviations of the gene"
TEXTS = {
    "forest": (
        "Differences to lsr · sim · geo · preset tiny", f"difference in MAE to the best ({UNIT})",
        "rank", "Right is worse.", "Paired wild bootstrap over 40 test profiles in 13 groups.",
    ),
    "critical": (
        "Critical differences · sim · geo · preset tiny", f"MAE ({UNIT}), lower is better", "rank",
    ),
    "scatter": (
        "lsr and knn gene by gene · sim · geo", f"MAE ({UNIT}) of lsr", f"MAE ({UNIT}) of knn",
        "Percentages: shares of 160 target genes that a method predicts better.",
    ),
    "targets": (
        "MAE by target gene · sim · geo · preset tiny", "MAE (std), lower is better",
        f"std: {UNIT}.", "variance over the training profiles (log₂², logarithmic axis)",
        "|r| with the best landmark over the training profiles",
        "equal numbers of the 160 target genes.",
    ),
    "cost": (
        "MAE and cost · sim · geo · preset tiny", f"MAE ({UNIT}), lower is better",
        "time of a fit (s, logarithmic), members of ensembles included",
        "Grey line: no method is better in less time.",
    ),
    "learning": (
        "Learning curves · sim · geo · preset tiny", f"MAE ({UNIT}), lower is better",
        "training profiles (logarithmic)", "Bars: 95 % t intervals over seeds.",
        "2 methods with one size left out.",
    ),
    "choice": (
        "Choices on the validation set (learning) · sim · geo · preset tiny",
        "validation MAE (std)", "epochs of training", f"std: {UNIT}.",
        "Dashed line: the value that was chosen.",
    ),
    "heat": (
        "MAE · sim · geo · preset tiny", f"MAE ({UNIT}), light is better", "epochs",
        "Mean ± std over target genes. Framed: the best cell of a map, not tested.",
    ),
}  # fmt: skip
"""Kind of figure → texts that it shows."""


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """Return results of every kind of figure: seeds, sizes, a grid, a choice."""
    results = str(tmp_path_factory.mktemp("texts") / "results")
    run = ["run", "--preset", "tiny", "--protocol", "geo", "--quiet", "--results", results]
    net = ["--methods", "dgex", "--set", "dgex.units=8"]
    for command in (
        ["--methods", "lsr,knn"],
        ["--methods", "lsr", "--train-size", "100,all"],
        [*net, "--grid", "epochs=2,3", "--seeds", "2"],
        [*net, "--set", "dgex.epochs=2", "--seeds", "2", "--train-size", "100,all"],
    ):
        assert invoke([*run, *command]) == 0
    return results


def texts_of(path):
    """Return all text of an SVG file in one line."""
    texts = ET.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return " ".join("".join(text.itertext()).strip() for text in texts)


@pytest.mark.parametrize("width", [85, 180])
def test_titles_units_and_numbers_are_there(folder, tmp_path, width):
    missing = []
    methods = {"forest": "lsr,knn", "critical": "lsr,knn", "scatter": "lsr,knn"}
    for kind, expected in TEXTS.items():
        genebench.figures(
            folder, tmp_path / kind, only=kind, width=width, formats="svg", protocols="geo",
            methods=methods.get(kind),
        )  # fmt: skip
        shown = " ".join(map(texts_of, sorted((tmp_path / kind).glob("*.svg"))))
        missing += [(kind, text, shown) for text in expected if text not in shown]
    assert missing == []
