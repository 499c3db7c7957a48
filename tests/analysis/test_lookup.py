"""Names of variants: a method with values of its parameters."""

from __future__ import annotations

import pytest

from genebench.analysis.lookup import find
from genebench.analysis.variants import variants_of
from genebench.explaining.subject import assigned_in
from genebench.plugins.registry import registry


@pytest.fixture
def variants(made_up):
    layers = [(), (100, 200), (100,)]
    genes = ["TP53", "TP53,MYC", "MYC"]
    return variants_of(
        [
            made_up("net", {"layers": sizes, "genes": names, "lr": 0.1}, 0.5)
            for sizes, names in zip(layers, genes, strict=True)
        ],
        registry(),
    )


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("net:layers=", ()),
        ("net:lr=0.1,layers=,genes=TP53", ()),
        ("net:layers=100:200", (100, 200)),
        ("net:genes=TP53,MYC", (100, 200)),
        ("net:genes=TP53,MYC,lr=0.1", (100, 200)),
        ("net:genes=MYC", (100,)),
    ],
)
def test_a_name_may_have_an_empty_list_and_values_with_commas(variants, name, layers):
    assert find(name, variants).first.identity.params["layers"] == layers


def test_a_model_is_named_by_an_empty_list_and_values_with_commas():
    values = assigned_in("net: layers=, genes=TP53,MYC, lr=0.1")
    assert values == {"layers": "", "genes": "TP53,MYC", "lr": "0.1"}


def test_every_label_of_a_variant_is_a_name_that_means_it_alone(made_up):
    alike = {"drop": False, "activation": "leaky", "norm": "none", "optimiser": "sgd", "lr": 0.02}
    adam = {"optimiser": "adam", "lr": 0.008}
    found = variants_of(
        [
            made_up("net", alike | changes, 0.5)
            for changes in (
                {"activation": "tanh"}, {}, adam, adam | {"norm": "weight"},
                adam | {"norm": "weight", "drop": True},
            )
        ],
        registry(),
    )  # fmt: skip
    labels = [variant.label for variant in found]
    assert labels == [
        "net (activation=tanh)",
        "net (activation=leaky, optimiser=sgd)",
        "net (norm=none, optimiser=adam)",
        "net (drop=false, norm=weight)",
        "net (drop=true)",
    ]
    for variant in found:
        name = variant.label.replace(" (", ":").rstrip(")").replace(", ", ",")
        assert find(name, found) is variant


@pytest.mark.parametrize("name", ["net:lr=0.123457", "net:lr=0.12345678", "net:lr=0.123457,b=1"])
def test_a_number_may_be_named_by_the_six_digits_that_are_shown(made_up, name):
    found = variants_of(
        [made_up("net", {"lr": lr, "b": 1}, 0.5) for lr in (0.12345678, 0.1234)], registry()
    )
    assert find(name, found) is found[0]
    assert find("net:lr=0.123456", found) is None
