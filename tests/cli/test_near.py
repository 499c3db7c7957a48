"""A user's word for a thing leads to the thing: near names, summaries, every kind by its name."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize(
    ("word", "name"),
    [("ridge", "lsr-l2"), ("lasso", "lsr-l1"), ("LightGBM", "boosting"), ("lsrl2", "lsr-l2")],
)
def test_a_word_of_a_summary_leads_to_the_method(tiny, genebench, tmp_path, word, name):
    outcome = genebench(
        "run", "--methods", word, "--preset", "tiny", "--results", tmp_path / "results"
    )
    assert outcome.status == 2
    assert name in outcome.err.partition("Did you mean ")[2]


def test_gpu_is_cuda(tiny, genebench, tmp_path):
    errors = {
        device: genebench(
            "run", "--methods", "lsr", "--preset", "tiny", "--device", device, "--protocol", "geo",
            "--results", tmp_path / "results", "--dry-run",
        )
        for device in ("gpu", "cuda", "gpus")
    }  # fmt: skip
    assert errors["gpu"].out == errors["cuda"].out
    assert errors["gpu"].status == errors["cuda"].status == 0
    assert "unknown device 'gpus'. Did you mean gpu or cpu?" in errors["gpus"].err


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("geo", ("geo, a protocol", "training set", "geo/train")),
        ("gtex-n100", ("gtex-n100, a protocol", "geo/train/100-profiles")),
        ("geo-strict", ("A variant of geo.",)),
        ("mae", ("mae, a metric", "Lower is better", "standard deviations")),
        ("sim", ("sim, a dataset", "Sizes: tiny, small, paper")),
        ("sim-tiny", ("sim-tiny, a prepared dataset", "genebench data info sim-tiny")),
        ("table2", ("table2, a suite", "genebench run table2", "layers=1,2,3")),
        ("local", ("local: jobs one after another",)),
        ("lsr-l2", ("lsr-l2: ridge",)),
    ],
)
def test_anything_is_shown_by_its_name(tiny, genebench, name, shown):
    outcome = genebench("show", name)
    assert outcome.status == 0, outcome.err
    for fragment in shown:
        assert fragment in outcome.out


def test_a_title_that_ends_a_sentence_gets_no_second_full_stop(tmp_path, genebench):
    suite = tmp_path / "mine.toml"
    suite.write_text('title = "Two floors."\nprotocols = ["geo"]\n[[runs]]\nmethods = ["random"]\n')
    assert f"{suite}, a suite: Two floors.\n" in genebench("show", str(suite)).out


def test_an_unknown_name_is_compared_with_those_of_every_kind(genebench):
    assert "Did you mean mae" in genebench("show", "maee").err
    assert "lsr-l2" in genebench("show", "ridge").err


def test_a_dataset_that_is_not_prepared_is_named_with_how_to_prepare_it(genebench):
    error = genebench("show", "u133").err
    assert "If it is a dataset" in error
    assert "genebench data prepare u133.toml" in error
    assert "If it is a dataset" not in genebench("show", "maee").err


def test_suites_are_listed(genebench):
    shown = genebench("list", "suites").out
    for name in ("ablation", "table1", "Table 4 of Wang et al. 2018"):
        assert name in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[run]]\nmethods = ["lsr"]\n', "unknown key 'run'. Did you mean runs?"),
        ('protocol = ["geo"]\n[[runs]]\nmethods = ["lsr"]\n', "Did you mean protocols?"),
        ('[[runs]]\nmethod = ["lsr"]\n', "unknown key"),
    ],
)
def test_a_misspelt_key_of_a_suite_leads_to_the_right_one(genebench, write, text, message):
    path = write("mine.toml", text)
    outcome = genebench("run", path)
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("option", [("--time-limit", "5"), ("--memory-limit", "8")])
def test_limits_need_a_unit_alike(genebench, option):
    outcome = genebench("run", "--methods", "lsr", *option)
    assert outcome.status == 2
    assert f"{option[0]} {option[1]}: not a limit. Write it as" in outcome.err


def test_variants_of_a_method_are_told_apart_in_status_and_curves(lsr_and_knn, genebench):
    status = genebench("status", "--results", lsr_and_knn).out
    assert status.count("knn k_max=20") == status.count("knn k_max=1 ") == 2
    curves = genebench("report", "curve", "path", "--methods", "knn", "--results", lsr_and_knn).out
    assert "knn (k_max=20): geo" in curves
    [knn, *_] = [
        row
        for row in json.loads(genebench("status", "--json", "--results", lsr_and_knn).out)[
            "records"
        ]
        if row["method"] == "knn"
    ]
    assert knn["params"]["k_max"] in {1, 20}


def test_a_parameter_is_set_by_one_option_everywhere(genebench):
    for option in ("--set", "--param"):
        for name in ("lambdas=5", "lsr-l2.lambdas=5"):
            checked = genebench("check", "lsr-l2", option, name, "--only", "spec")
            assert checked.status == 0, checked.err
    refused = genebench("check", "lsr-l2", "--set", "knn.k_max=5", "--only", "spec")
    assert refused.status == 2
    assert "knn is not among the methods to check" in refused.err
