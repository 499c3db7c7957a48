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


def test_entrez_ids_are_read_by_a_table_of_aliases(kept, tiny, genebench, tmp_path):
    model, _ = kept
    given, ensembl = expression_of(tiny, "landmarks"), tmp_path / "ensembl.tsv"
    given.to_csv(ensembl, sep="\t")
    entrez = [str(number) for number in range(1000, 1000 + len(given))]
    lines = [f"{id_}\t{name}\n" for id_, name in zip(entrez, given.index, strict=True)]
    (tmp_path / "aliases.tsv").write_text("".join(lines))
    given.set_axis(entrez).to_csv(tmp_path / "entrez.tsv", sep="\t")
    assert genebench("predict", model, ensembl, tmp_path / "a.tsv").status == 0
    command = "predict", model, tmp_path / "entrez.tsv", tmp_path / "b.tsv", "--ids", "entrez"
    done = genebench(*command)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "Give a table of them by --aliases" in done.err
    done = genebench(*command, "--aliases", tmp_path / "aliases.tsv")
    assert done.status == 0, done.err
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()


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


# Level, normalisation, coverage, names


def predicted(path):
    return pd.read_csv(path, sep="\t", index_col=0).drop(columns="symbol").to_numpy()


def all_genes(dataset):
    """Expression of the test profiles, landmarks and targets, each gene once."""
    parts = [expression_of(dataset, role) for role in ("landmarks", "targets")]
    together = pd.concat(parts)
    return together[~together.index.duplicated()]


def test_normalised_profiles_raise_no_remark_and_others_do(
    kept, saved_landmarks, genebench, tmp_path
):
    quiet = genebench("predict", kept[0], saved_landmarks, tmp_path / "out.tsv")
    assert "32 of 32 landmarks found among 32 genes" in quiet.err
    assert "level" not in quiet.err
    given = pd.read_csv(saved_landmarks, sep="\t", index_col=0)
    (given * 0.7 + 4).to_csv(tmp_path / "raw.tsv", sep="\t")
    done = genebench("predict", kept[0], tmp_path / "raw.tsv", tmp_path / "raw-out.tsv")
    assert done.status == 0
    assert "raw.tsv: the landmarks are not on the level of the training profiles" in done.err
    assert "--normalise" in done.err


@pytest.mark.parametrize("genes", ["landmarks", "all"])
def test_any_monotone_scale_gives_the_predictions_of_normalised_profiles(
    kept, tiny, genebench, tmp_path, genes
):
    given = all_genes(tiny) if genes == "all" else expression_of(tiny, "landmarks")
    given.to_csv(tmp_path / "given.tsv", sep="\t")
    np.exp2(given).to_csv(tmp_path / "linear.tsv", sep="\t")
    found = {}
    for name, options in {"given": [], "linear": ["--normalise"]}.items():
        out = tmp_path / f"{name}-out.tsv"
        done = genebench("predict", kept[0], tmp_path / f"{name}.tsv", out, *options)
        assert done.status == 0, done.err
        found[name] = predicted(out)
    over = "all genes of the model" if genes == "all" else "these landmarks"
    assert f"normalised over {over}" in done.err
    away = np.abs(found["linear"] - found["given"])
    # Over all genes the quantiles are those of the dataset, but for twins, which are one row in
    # this file. Those of the landmarks alone differ between profiles, and are the training set's.
    assert away.mean() < (0.05 if genes == "all" else 0.3)
    centred = expression_of(tiny, "targets").to_numpy()
    assert away.mean() < 0.5 * np.abs(centred - centred.mean(axis=1, keepdims=True)).mean()


def test_missing_landmarks_have_their_training_means(kept, tiny, genebench, tmp_path):
    model, _ = kept
    given = expression_of(tiny, "landmarks")
    gone = given.index[[3, 7]]
    given.drop(index=gone).to_csv(tmp_path / "short.tsv", sep="\t")
    mean = tiny.statistics("geo")[0][: len(given)]
    filled = given.astype(float)
    for gene, value in zip(gone, mean[[3, 7]], strict=True):
        filled.loc[gene] = value
    filled.to_csv(tmp_path / "filled.tsv", sep="\t")
    out = {}
    for name, options in {"short": ["--missing", "mean"], "filled": []}.items():
        done = genebench(
            "predict", model, tmp_path / f"{name}.tsv", tmp_path / f"{name}-out.tsv", *options
        )
        assert done.status == 0
        if name == "short":
            assert f"30 of 32 landmarks found among 30 genes. {gone[0]}, {gone[1]}" in done.err
        out[name] = predicted(tmp_path / f"{name}-out.tsv")
    np.testing.assert_allclose(out["short"], out["filled"], atol=1e-4)
    refused = genebench("predict", model, tmp_path / "short.tsv", tmp_path / "no.tsv")
    assert refused.status == 2
    assert "--missing mean" in refused.err


def test_more_training_means_than_landmarks_are_refused(kept, tiny, genebench, tmp_path):
    given = expression_of(tiny, "landmarks")
    for number in (15, 16):
        given.iloc[:number].to_csv(tmp_path / "few.tsv", sep="\t")
        out = tmp_path / f"{number}.tsv"
        done = genebench("predict", kept[0], tmp_path / "few.tsv", out, "--missing", "mean", "-q")
        assert (done.status, out.exists()) == ((2, False) if number == 15 else (0, True))
        assert f"{number} of" in done.err, "--quiet hides no warning"
    assert "have their training means" in done.err


def test_quiet_hides_no_warning_of_the_level(kept, saved_landmarks, genebench, tmp_path):
    (pd.read_csv(saved_landmarks, sep="\t", index_col=0) * 0.7 + 4).to_csv(
        tmp_path / "raw.tsv", sep="\t"
    )
    done = genebench("predict", kept[0], tmp_path / "raw.tsv", tmp_path / "out.tsv", "-q")
    assert "warning: " in done.err
    assert "level" in done.err
    silent = genebench("predict", kept[0], saved_landmarks, tmp_path / "out2.tsv", "-q")
    assert silent.err == silent.out == ""


def test_profiles_without_ranks_are_refused_by_name(kept, saved_landmarks, genebench, tmp_path):
    given = pd.read_csv(saved_landmarks, sep="\t", index_col=0).astype(float)
    flat = given.columns[[1, 4]]
    given[flat] = 7.0
    given.to_csv(tmp_path / "flat.tsv", sep="\t")
    done = genebench("predict", kept[0], tmp_path / "flat.tsv", tmp_path / "out.tsv", "--normalise")
    assert done.status == 2
    assert f"2 profiles with one value in all genes cannot be normalised: {flat[0]}, {flat[1]}" in (
        done.err
    )
    assert not (tmp_path / "out.tsv").exists()


def test_a_model_is_named_by_its_method_and_protocol_or_its_key(
    kept, saved_landmarks, genebench, tmp_path
):
    results = kept[0].parent
    by_file = tmp_path / "file.tsv"
    genebench("predict", kept[0], saved_landmarks, by_file)
    for number, name in enumerate(("lsr-l2@geo", kept[0].name[:8])):
        out = tmp_path / f"{number}.tsv"
        done = genebench("predict", name, saved_landmarks, out, "--results", results)
        assert done.status == 0, done.err
        assert out.read_text() == by_file.read_text()
    unknown = genebench("predict", "lsr@geo", saved_landmarks, tmp_path / "no.tsv", "--results",
                        results)  # fmt: skip
    assert unknown.status == 2
    assert "Did you mean lsr-l2" in unknown.err


def test_standardised_values_and_older_models_cannot_be_normalised(
    kept, saved_landmarks, genebench, tmp_path
):
    refused = genebench("predict", kept[0], saved_landmarks, tmp_path / "out.tsv", "--normalise",
                        "--values", "standardised")  # fmt: skip
    assert refused.status == 2
    assert "standardised values have no quantiles" in refused.err
    older = replace(open_model(kept[0]), quantiles=None)
    with pytest.raises(UserError, match="an earlier version saved it"):
        module.predict(
            older, open_reader(saved_landmarks, "genes"), tmp_path / "out.tsv", ids="ensembl",
            normalise=True,
        )  # fmt: skip


def test_a_device_by_a_usual_name_is_understood(kept, saved_landmarks, genebench, tmp_path):
    refused = genebench(
        "predict", kept[0], saved_landmarks, tmp_path / "out.tsv", "--device", "tpu"
    )
    assert refused.status == 2
    assert "unknown device 'tpu'" in refused.err
