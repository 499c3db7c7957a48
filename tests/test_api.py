"""The Python API: the same parts, names and numbers as the command line."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest

import genebench as gb
from genebench.cli import invoke

pytestmark = pytest.mark.usefixtures("tiny")

LANDMARKS, TARGETS, TWINS = 32, 160, 15
SIZES = {"geo": (320, 40, 40), "gtex": (320, 40, 60)}


@pytest.fixture(scope="module")
def geo(tiny):
    return gb.load("sim", "geo", preset="tiny")


@pytest.fixture(scope="module")
def gtex(tiny):
    return gb.load("sim", "gtex", preset="tiny")


@pytest.fixture(scope="module")
def done(tiny, tmp_path_factory):
    """A results folder and what genebench.run returned."""
    folder = tmp_path_factory.mktemp("api") / "results"
    return folder, gb.run(
        methods=["lsr", "knn"], protocols=["geo"], dataset="sim", preset="tiny", results=folder
    )


# load


@pytest.mark.parametrize("protocol", SIZES)
def test_a_protocol_has_three_parts_of_float32_profiles_by_genes(protocol):
    parts = gb.load("sim", protocol, preset="tiny")
    for part, size in zip(parts, SIZES[protocol], strict=True):
        assert len(part) == size
        assert part.landmarks.shape == (size, LANDMARKS)
        assert part.targets.shape == (size, TARGETS)
        assert part.landmarks.dtype == part.targets.dtype == np.float32
        assert np.isfinite(part.landmarks).all()
        assert np.isfinite(part.targets).all()
    assert parts == (parts.train, parts.validation, parts.test)


def test_tables_are_indexed_by_id_in_the_order_of_the_matrices(geo):
    part = geo.test
    for frame, size in (
        (part.profiles, len(part)),
        (part.landmark_genes, LANDMARKS),
        (part.target_genes, TARGETS),
    ):
        assert isinstance(frame, pd.DataFrame)
        assert len(frame) == size
        assert frame.index.is_unique
    assert part.target_genes.index.str.startswith("ENS").all()
    assert {"symbol", "probes", "twin"} <= set(part.target_genes.columns)


def test_twins_are_flagged_on_both_sides(geo):
    part = geo.train
    shared = part.landmark_genes.index.intersection(part.target_genes.index)
    assert len(shared) == TWINS
    assert set(part.landmark_genes.index[part.landmark_genes["twin"]]) == set(shared)
    assert set(part.target_genes.index[part.target_genes["twin"]]) == set(shared)


def twins_of(part):
    shared = part.landmark_genes.index.intersection(part.target_genes.index)
    landmarks = part.landmarks[:, part.landmark_genes.index.get_indexer(shared)]
    return landmarks, part.targets[:, part.target_genes.index.get_indexer(shared)]


def test_twins_are_one_measurement_on_rnaseq(gtex):
    landmarks, targets = twins_of(gtex.test)
    np.testing.assert_allclose(landmarks, targets, atol=1e-5)


def test_each_platform_is_standardised_by_its_own_statistics(gtex):
    for part in (gtex.validation, gtex.test):
        for values in (part.landmarks, part.targets):
            np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
            spread = values.std(axis=0)
            # std / (std + 0.001): just under one.
            assert ((spread > 0.97) & (spread <= 1.0 + 1e-5)).all()


def test_the_microarrays_are_standardised_over_all_their_profiles(geo):
    whole = np.concatenate([part.targets for part in geo])
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=1e-4)
    assert abs(geo.test.targets.mean(axis=0)).max() > 0.01, "not over each part"


def test_no_test_profile_is_among_those_used_to_fit(geo, gtex):
    for parts in (geo, gtex):
        seen = {*parts.train.profiles.index, *parts.validation.profiles.index}
        assert not seen & set(parts.test.profiles.index)
        assert not set(parts.train.profiles.index) & set(parts.validation.profiles.index)
        assert len(seen) == len(parts.train) + len(parts.validation)


def test_both_protocols_share_the_training_profiles(geo, gtex):
    assert geo.train.profiles.index.equals(gtex.train.profiles.index)
    np.testing.assert_array_equal(geo.train.targets, gtex.train.targets)


def test_memory_maps_are_read_only_and_equal_to_the_arrays(geo):
    mapped = gb.load("sim", "geo", preset="tiny", mmap=True)
    for arrays, maps in zip(geo, mapped, strict=True):
        for role in ("landmarks", "targets"):
            matrix = getattr(maps, role)
            assert isinstance(matrix, np.memmap)
            assert not matrix.flags.writeable
            np.testing.assert_array_equal(matrix, getattr(arrays, role))
    with pytest.raises(ValueError, match="read-only"):
        mapped.test.targets[0, 0] = 1


def test_arrays_are_the_callers_to_change_and_change_nothing_else():
    part = gb.load("sim", "geo", preset="tiny").test
    assert not isinstance(part.targets, np.memmap)
    original = part.targets.copy()
    part.targets[:] = 0
    np.testing.assert_array_equal(gb.load("sim", "geo", preset="tiny").test.targets, original)


def test_blocks_are_the_matrices_piece_by_piece(geo):
    blocks = list(geo.test.blocks(7))
    assert [len(block.landmarks) for block in blocks] == [7, 7, 7, 7, 7, 5]
    np.testing.assert_array_equal(
        np.concatenate([block.targets for block in blocks]), geo.test.targets
    )
    np.testing.assert_array_equal(
        np.concatenate([block.landmarks for block in blocks]), geo.test.landmarks
    )


def test_a_part_describes_itself(geo):
    assert repr(geo.test) == "<Profiles 40 × 32 + 160>"


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ({"dataset": "simm"}, "Did you mean sim"),
        ({"protocol": "geoo"}, "Did you mean geo"),
        ({"preset": "tinyy"}, "Did you mean tiny"),
    ],
)
def test_unknown_names_raise_the_users_error_with_near_misses(arguments, fragment):
    with pytest.raises(gb.UserError, match=fragment):
        gb.load(**({"dataset": "sim", "protocol": "geo", "preset": "tiny"} | arguments))


# run and records


def test_run_returns_the_records_of_the_plan_in_its_order(done):
    _, results = done
    assert [record.identity.method for record in results.records] == [
        "train-mean", "copy-twin", "lsr", "knn",
    ]  # fmt: skip
    assert {record.status for record in results.records} == {"done"}


def test_the_table_of_a_run_is_the_csv_of_the_command_line(done, genebench):
    folder, results = done
    shown = genebench("report", "--format", "csv", "--metrics", "all", "--results", folder).out
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert list(results.table.columns) == list(rows[0])
    ours = {tuple(map(str, row)) for row in results.table.itertuples(index=False)}
    assert ours == {tuple(row.values()) for row in rows}


def test_python_and_the_command_line_continue_each_others_work(done, genebench):
    folder, _ = done
    command = ("run", "--preset", "tiny", "--methods", "lsr,knn", "--protocol", "geo")
    assert "nothing to do" in genebench(*command, "--results", folder).err


def test_records_reads_what_run_wrote(done):
    folder, results = done
    stored = gb.records(folder)
    assert {record.key for record in stored.records} == {record.key for record in results.records}
    by_key = {record.key: record for record in results.records}
    assert all(record == by_key[record.key] for record in stored.records)
    assert len(stored.table) == len(results.table) > 0


def test_the_numbers_follow_from_the_data_and_the_formulas(done, geo):
    """Least squares by hand, on what load() gives."""
    _, results = done

    def with_intercept(landmarks):
        return np.column_stack([landmarks.astype(float), np.ones(len(landmarks))])

    weights, *_ = np.linalg.lstsq(
        with_intercept(geo.train.landmarks), geo.train.targets.astype(float), rcond=None
    )
    predicted = with_intercept(geo.test.landmarks) @ weights
    expected = np.abs(predicted - geo.test.targets).mean()
    table = results.table.set_index(["method", "metric", "panel"])
    assert table.loc[("lsr", "mae", "all"), "mean"] == pytest.approx(expected, abs=1e-5)


def test_parameters_may_be_given_as_python_values(tmp_path):
    results = gb.run(
        "knn", "geo", preset="tiny", params={"knn": {"k_max": 1}}, results=tmp_path / "results"
    )
    knn = next(record for record in results.records if record.identity.method == "knn")
    assert knn.identity.params == {"k_max": 1}
    assert knn.choices == {"k": 1}


def test_the_command_of_a_record_made_from_python_is_python(done):
    _, results = done
    assert {record.provenance.command for record in results.records} == {"python"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"methods": ["lsrr"]},
        {"protocols": "geoo"},
        {"engine": "locale"},
        {"params": {"knn": {"kmax": 1}}},
        {"params": {"knn": {"k_max": 0}}},
        {"seeds": 0},
        {"device": "cuba"},
    ],
    ids=str,
)
def test_mistakes_raise_the_users_error_and_write_nothing(tmp_path, arguments):
    mistaken = {"preset": "tiny", "results": tmp_path / "results"} | arguments
    with pytest.raises(gb.UserError):
        gb.run(**mistaken)
    assert not (tmp_path / "results").exists()


def test_records_of_a_folder_that_is_something_else_are_refused(tmp_path):
    with pytest.raises(gb.UserError, match="not a results folder"):
        gb.records(tmp_path)


def test_the_command_line_can_be_called_from_python(capsys):
    assert invoke(["list", "methods"]) == 0
    assert "lsr" in capsys.readouterr().out


def test_the_public_names_are_all_there():
    for name in gb.__all__:
        assert getattr(gb, name) is not None
