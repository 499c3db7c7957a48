"""Predicting new profiles with a saved model: in any format, in the units of the landmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genebench import api
from genebench.data.standardisation import STD_OFFSET, Standardiser
from genebench.errors import UserError
from genebench.formats.opening import open_reader
from genebench.models import predict as module
from genebench.models.saved import open_model
from genebench.protocols import GEO
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def kept(tiny, tmp_path_factory):
    """A saved model, and what it predicted of the test profiles."""
    folder = tmp_path_factory.mktemp("predict") / "results"
    made = api.run("lsr-l2", "geo", dataset="sim", preset="tiny", results=folder,
                   keep=("model", "predictions"))  # fmt: skip
    [record] = [record for record in made.records if record.identity.method == "lsr-l2"]
    store = ResultsStore(folder)
    return store.model_path(record), store.predictions(record)


def expression_of(dataset, role):
    """Expression of the test profiles before it is standardised, genes × profiles."""
    test, p = dataset.profiles(GEO.test), len(dataset.landmark_genes)
    columns = slice(0, p) if role == "landmarks" else slice(p, None)
    genes = test.landmark_genes if role == "landmarks" else test.target_genes
    values = np.vstack(list(test.expression_blocks()))[:, columns]
    return pd.DataFrame(values.T, index=genes.index, columns=test.profiles.index)


@pytest.fixture
def saved_landmarks(tiny, tmp_path):
    """A file with the landmarks of the test profiles."""
    path = tmp_path / "given.tsv"
    expression_of(tiny, "landmarks").to_csv(path, sep="\t")
    return path


def test_expression_in_gives_expression_out(kept, tiny, genebench, tmp_path):
    model, standardised = kept
    given = expression_of(tiny, "landmarks").sample(frac=1, random_state=0)  # in any order
    given.to_csv(tmp_path / "given.tsv", sep="\t")
    done = genebench("predict", model, tmp_path / "given.tsv", tmp_path / "out.tsv")
    assert done.status == 0, done.err
    found = pd.read_csv(tmp_path / "out.tsv", sep="\t", index_col=0).drop(columns="symbol")
    mean, std = (part[len(tiny.landmark_genes) :] for part in tiny.statistics("geo"))
    expected = standardised * (std + STD_OFFSET) + mean
    assert found.index.tolist() == tiny.target_genes.index.tolist()
    np.testing.assert_allclose(found.to_numpy().T, expected, atol=1e-4)


def test_standardised_in_gives_standardised_out_by_any_kind_of_id(kept, tiny, genebench, tmp_path):
    model, standardised = kept
    test = tiny.profiles(GEO.test)
    table = pd.DataFrame(
        test.landmarks, index=test.profiles.index, columns=test.landmark_genes["symbol"]
    )
    table.to_csv(tmp_path / "given.csv")
    done = genebench(
        "predict", model, tmp_path / "given.csv", tmp_path / "out.gctx", "--ids", "symbol",
        "--values", "standardised", "--orientation", "profiles",
    )  # fmt: skip
    assert done.status == 0, done.err
    import h5py

    with h5py.File(tmp_path / "out.gctx") as file:
        found = file["0/DATA/0/matrix"][:]
    np.testing.assert_allclose(found, standardised, atol=1e-5)


def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(kept, tiny, genebench, tmp_path):
    model, _ = kept
    given = expression_of(tiny, "landmarks")
    given.iloc[1:].to_csv(tmp_path / "short.tsv", sep="\t")
    (given - given.mean(axis=1).to_numpy()[:, None]).to_csv(tmp_path / "z.tsv", sep="\t")
    given.to_csv(tmp_path / "good.tsv", sep="\t")
    for arguments, message in [
        ((model, tmp_path / "short.tsv"), f"are missing as ensembl ids: {given.index[0]}"),
        ((model, tmp_path / "z.tsv"), "--values standardised"),
        ((model, tmp_path / "none.tsv"), "no such file"),
        ((tmp_path / "good.tsv", tmp_path / "good.tsv"), "not a safetensors file"),
    ]:
        refused = genebench("predict", *arguments, tmp_path / "out.tsv", "--quiet")
        assert refused.status == 2
        assert message in refused.err
        assert len(refused.err.splitlines()) == 1
        assert not (tmp_path / "out.tsv").exists()


@pytest.mark.parametrize("value", [1e308, -1e30, 31.0])
def test_a_cell_that_expression_cannot_hold_is_named(kept, tiny, genebench, tmp_path, value):
    given = expression_of(tiny, "landmarks").astype(float)
    given.iloc[2, 3] = value
    given.to_csv(tmp_path / "given.tsv", sep="\t")
    refused = genebench("predict", kept[0], tmp_path / "given.tsv", tmp_path / "out.tsv")
    named = f"profile {given.columns[3]!r}, gene {given.index[2]!r} is {value:g}, which log2"
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert named in refused.err
    assert not (tmp_path / "out.tsv").exists()


def test_a_model_of_data_that_came_standardised_takes_no_expression(kept, tiny, tmp_path):
    expression_of(tiny, "landmarks").to_csv(tmp_path / "good.tsv", sep="\t")
    saved = replace(open_model(kept[0]), standardiser=Standardiser.identity(192))
    with pytest.raises(UserError, match="--values standardised"):
        module.predict(saved, open_reader(tmp_path / "good.tsv"), tmp_path / "o.tsv", ids="ensembl")
    assert not (tmp_path / "o.tsv").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda block: block * np.nan, "predicted NaN or infinite values"),
        (lambda block: block[:, 1:], "values where"),
    ],
    ids=["NaN", "too few genes"],
)
def test_a_bad_prediction_is_refused_and_nothing_is_written(
    kept, saved_landmarks, monkeypatch, spoil, message
):
    saved = open_model(kept[0])
    predict = type(saved.model).predict
    monkeypatch.setattr(type(saved.model), "predict", lambda *given: spoil(predict(*given)))
    out = saved_landmarks.with_name("out.tsv")
    for values in ("expression", "standardised"):
        with pytest.raises(UserError, match=rf"given.tsv: the model of lsr-l2 .*{message}"):
            module.predict(saved, open_reader(saved_landmarks), out, ids="ensembl", values=values)
        assert not out.exists()


def test_predictions_beyond_the_largest_number_are_refused_and_nothing_is_written(
    kept, saved_landmarks
):
    saved, out = open_model(kept[0]), saved_landmarks.with_name("out.tsv")
    mean = saved.standardiser.mean.copy()
    mean[-1] = 1e39  # float32 ends at 3.4e38
    saved = replace(saved, standardiser=replace(saved.standardiser, mean=mean))
    with pytest.raises(UserError, match="the model of lsr-l2 predicted NaN or infinite values"):
        module.predict(saved, open_reader(saved_landmarks), out, ids="ensembl")
    assert list(out.parent.glob("*out*")) == []


def test_a_file_that_is_there_is_not_written_over(kept, tiny, genebench, tmp_path):
    expression_of(tiny, "landmarks").to_csv(tmp_path / "good.tsv", sep="\t")
    (tmp_path / "out.tsv").write_text("mine")
    assert genebench("predict", kept[0], tmp_path / "good.tsv", tmp_path / "out.tsv").status == 2
    assert (tmp_path / "out.tsv").read_text() == "mine"
