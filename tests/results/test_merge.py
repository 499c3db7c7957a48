"""Merging: safe, the same when repeated, and plain about what it will not take."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from genebench.errors import UserError
from genebench.results.bundle import write_bundle
from genebench.results.checks import verify
from genebench.results.limits import RECORD_BYTES
from genebench.results.merge import merge
from genebench.results.record import Failure
from genebench.results.store import ResultsStore

FAILURE = Failure(kind="MemoryError", message="no luck", traceback="")


def snapshot(store: ResultsStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.root.iterdir()}


@pytest.fixture
def empty(tmp_path) -> ResultsStore:
    return ResultsStore(tmp_path / "empty")


def test_everything_of_a_record_is_taken_as_it_is(store, empty):
    merged = merge([store.root], empty.root)
    assert len(merged.added) == 3
    assert snapshot(empty) == snapshot(store)


def test_merging_again_changes_nothing(store, empty):
    merge([store.root], empty.root)
    before = snapshot(empty)
    merged = merge([store.root, store.root], empty.root)
    assert (merged.added, merged.replaced, merged.refused) == ([], [], [])
    assert len(merged.same) == 6
    assert snapshot(empty) == before


def test_a_folder_merged_with_itself_stays_as_it_is(store):
    before = snapshot(store)
    merge([store.root], store.root)
    assert snapshot(store) == before


def test_the_same_result_of_two_machines_is_one_result(store, other, lsr, change):
    """Other times, another host, and sums in another order."""
    vectors = other.vectors(lsr)
    vectors["gene-metric.mae"] = vectors["gene-metric.mae"] + 1e-9
    changed = other.write(
        lsr.model_copy(
            update={
                "seconds": {"fit": 99.0},
                "provenance": lsr.provenance.model_copy(update={"host": "elsewhere"}),
                "scores": _scores_of(vectors),
            }
        ),
        vectors,
    )
    assert verify(other.paths, changed) == []
    before = snapshot(store)
    merged = merge([other.root], store.root)
    assert len(merged.same) == 3
    assert snapshot(store) == before


def _scores_of(vectors):
    from genebench.results.panels import scores_of

    return scores_of(vectors)


@pytest.fixture
def conflicting(other, lsr):
    """The other folder has another result under the key of lsr, sound in itself."""
    vectors = other.vectors(lsr)
    vectors = {
        name: values * 1.1 if name.startswith(("gene-metric.mae", "profile-share.mae")) else values
        for name, values in vectors.items()
    }
    changed = lsr.model_copy(update={"scores": _scores_of(vectors), "predictions": ""})
    assert verify(other.paths, other.write(changed, vectors)) == []
    return other


def test_two_results_under_one_key_are_a_conflict_and_ours_stays(store, conflicting, lsr):
    before = snapshot(store)
    merged = merge([conflicting.root], store.root)
    [line] = merged.refused
    assert line.startswith("conflict: lsr seed 0 on sim under geo")
    assert "mae on panel all is" in line
    assert f"remove {lsr.key}.json from the folder that is wrong" in line
    assert "\n" not in line
    assert len(merged.same) == 2
    assert snapshot(store) == before


def test_the_rest_is_taken_beside_a_conflict(empty, store, conflicting, lsr):
    merge([conflicting.root], empty.root)
    merged = merge([store.root], empty.root)
    assert len(merged.refused) == 1
    assert empty.read(lsr.key).predictions == ""


def test_a_finished_record_replaces_a_failed_one_and_never_the_other_way(store, other, lsr, change):
    change(other, lsr, status="failed", scores={}, failure=FAILURE, vectors="", predictions="")
    before = snapshot(store)
    assert merge([other.root], store.root).replaced == []
    assert snapshot(store) == before
    [line] = merge([store.root], other.root).replaced
    assert "lsr" in line
    assert line.endswith("done replaces failed")
    assert other.read(lsr.key) == lsr
    assert verify(other.paths, lsr) == []


def test_a_record_that_kept_its_predictions_replaces_one_that_did_not(store, other, lsr, change):
    change(store, lsr, predictions="")
    [line] = merge([other.root], store.root).replaced
    assert line.endswith("also holds predictions")
    ours = store.read(lsr.key)
    assert verify(store.paths, ours) == []
    np.testing.assert_array_equal(store.predictions(ours), other.predictions(ours))


def _better_score(content):
    content["scores"]["mae"]["all"]["mean"] -= 0.1


def _missing_key(content):
    del content["peak_memory"]


def _future(content):
    content["format"] = 99


@pytest.mark.parametrize("edited", [_better_score, _missing_key, _future])
def test_an_unsound_record_is_not_taken_and_the_others_are(empty, other, lsr, edit, edited):
    edit(other, lsr, edited)
    merged = merge([other.root], empty.root)
    assert len(merged.added) == 2
    [line] = merged.refused
    assert f"{lsr.key}.json" in line
    assert empty.read(lsr.key) is None


def test_a_file_that_was_changed_is_not_taken(empty, other, lsr):
    (other.paths.kept(lsr, "predictions")).write_bytes(b"x")
    merged = merge([other.root], empty.root)
    assert "predictions.npy was changed" in merged.refused[0]
    assert not list(empty.root.glob(f"{lsr.key}.*"))


def test_what_is_damaged_here_is_named_and_not_written_over(store, other, lsr, edit):
    edit(store, lsr, _better_score)
    before = snapshot(store)
    merged = merge([other.root], store.root)
    assert f"Remove {lsr.key}.json there and merge again" in merged.refused[0]
    assert snapshot(store) == before


def test_a_copy_that_breaks_off_leaves_no_record_and_merging_again_mends_it(
    store, empty, monkeypatch
):
    copy, calls = __import__("shutil").copyfile, []

    def failing(source, target):
        calls.append(source)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr("shutil.copyfile", failing)
    merged = merge([store.root], empty.root)
    assert len(merged.refused) == 1
    assert "no space left" in merged.refused[0]
    assert empty.sound(thorough=True)[1] == []
    assert not list(empty.root.glob(".*"))
    assert len(merge([store.root], empty.root).added) == 1
    assert snapshot(empty) == snapshot(store)


@pytest.mark.parametrize("what", ["missing", "thesis", "text.txt"])
def test_a_source_that_is_something_else_is_one_line_and_nothing_is_merged(
    tmp_path, store, empty, what
):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "package.json").write_text("{}")
    (tmp_path / "text.txt").write_text("no zip")
    with pytest.raises(UserError, match=what):
        merge([store.root, tmp_path / what], empty.root)
    assert not empty.root.exists()


def test_a_destination_that_is_something_else_is_not_written_to(tmp_path, store):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not a results folder"):
        merge([store.root], tmp_path)


def test_who_submitted_goes_along_and_that_it_was_verified_elsewhere_does_not(store, empty, lsr):
    submitted = {"name": "A", "contact": "a@b", "licence": "", "created": "now", "bundle": "0"}
    verified = {
        "record": store.digest(lsr.key), "when": "now", "genebench": "1", "metrics": (),
        "source": "model",
    }  # fmt: skip
    store.annotations.add(lsr.key, submitted=submitted, verified=verified)
    assert store.annotations.read(lsr.key).names == ["submitted", "verified"]
    merge([store.root], empty.root)
    annotations = empty.annotations.read(lsr.key)
    assert annotations.names == ["submitted"]
    assert annotations.submitted.model_dump() == submitted


def test_a_folder_of_layout_1_is_merged(store, empty, lsr):
    for record in store.records():
        for path, digest in store.paths.digests(record).items():
            path.rename(store.root / path.name.replace(f".{digest[:16]}", ""))
    store.paths.layout.write_text('{"genebench-results": 1}')
    assert len(merge([store.root], empty.root).added) == 3
    assert empty.sound(thorough=True)[1] == []
    assert empty.paths.vectors(lsr).name == f"{lsr.key}.{lsr.vectors[:16]}.npz"


@pytest.mark.parametrize("at", ["vectors", "record", "damaged", "large", "removed"])
def test_a_record_that_is_replaced_while_it_is_copied_is_not_taken(
    store, other, lsr, monkeypatch, at
):
    """The source is in use: another result comes between the check and the copy."""
    copy = __import__("shutil").copyfile

    def replaced(source, target):
        result = copy(source, target)
        if at == "record":
            other.write(lsr.model_copy(update={"notes": ("another result",)}), other.vectors(lsr))
        elif at == "damaged":
            other.paths.record(lsr.key).write_bytes(b"{}")
        elif at == "removed":
            other.paths.record(lsr.key).unlink(missing_ok=True)
        elif at == "large":
            os.truncate(other.paths.record(lsr.key), RECORD_BYTES + 1)
        else:
            target.write_bytes(b"x")
        return result

    other.write(lsr.model_copy(update={"notes": ("more",)}), other.vectors(lsr))
    store.paths.record(lsr.key).unlink()
    monkeypatch.setattr("shutil.copyfile", replaced)
    merged = merge([other.root], store.root)
    assert "Merge again" in merged.refused[0]
    assert store.read(lsr.key) is None
    assert not list(store.root.glob(".*"))


def test_a_replacement_that_breaks_off_leaves_the_earlier_record_whole(
    store, other, lsr, change, monkeypatch
):
    change(store, lsr, predictions="")
    ours = store.read(lsr.key)
    rename = Path.replace

    def failing(self, target):
        if str(target).endswith(".json"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    assert "input/output error" in merge([other.root], store.root).refused[0]
    assert store.read(lsr.key) == ours
    assert verify(store.paths, ours) == []


# --- bundles of strangers -------------------------------------------------------------------------

SENDER = {"name": "Eve", "contact": "e@x", "licence": ""}


def sent(store, tmp_path, name="bundle.zip"):
    write_bundle(tmp_path / name, store, store.records(), SENDER)
    return tmp_path / name


def forged(other, lsr, change):
    """The same scores, with another host, other times and notes, and more kept files."""
    provenance = lsr.provenance.model_copy(update={"host": "forged", "started": "1999"})
    change(other, lsr, provenance=provenance, notes=("forged",), seconds={"fit": 0.001})


@pytest.mark.parametrize("less", [{"predictions": ""}, {}])
def test_a_submitted_record_never_replaces_ours(  # noqa: PLR0917  fixtures
    store, other, lsr, change, tmp_path, less
):
    forged(other, lsr, change)
    change(store, lsr, **less)
    before = snapshot(store)
    merged = merge([sent(other, tmp_path)], store.root)
    assert snapshot(store) == before
    assert (merged.added, merged.replaced, merged.refused) == ([], [], [])
    assert len(merged.kept) == (1 if less else 0)
    if less:
        [line] = merged.kept
        assert "also holds predictions, but a submitted record replaces none" in line
        assert f"Remove {lsr.key}.json to take it" in line


def test_a_submitted_record_does_not_replace_our_failed_one(store, other, lsr, change, tmp_path):
    change(store, lsr, status="failed", scores={}, failure=FAILURE, vectors="", predictions="")
    merged = merge([sent(other, tmp_path)], store.root)
    assert len(merged.kept) == 1
    assert store.read(lsr.key).status == "failed"


def test_a_second_sender_does_not_replace_the_first(  # noqa: PLR0917  fixtures
    store, other, empty, lsr, change, tmp_path
):
    change(store, lsr, predictions="")
    merge([sent(store, tmp_path, "first.zip")], empty.root)
    forged(other, lsr, change)
    merge([sent(other, tmp_path, "second.zip")], empty.root)
    assert empty.read(lsr.key).notes == lsr.notes


def test_a_submitted_record_does_not_come_in_by_way_of_a_folder(  # noqa: PLR0917  fixtures
    store, other, empty, lsr, change, tmp_path
):
    forged(other, lsr, change)
    merge([sent(other, tmp_path)], empty.root)
    change(store, lsr, predictions="")
    merged = merge([empty.root], store.root)
    assert len(merged.kept) == 1
    assert store.read(lsr.key).notes == lsr.notes


def test_what_a_folder_gave_first_is_not_marked_as_submitted(store, other, empty, lsr, tmp_path):
    merge([store.root, sent(other, tmp_path)], empty.root)
    assert empty.annotations.read(lsr.key).names == []


def test_our_own_record_replaces_a_submitted_one_that_holds_less(  # noqa: PLR0917  fixtures
    store, other, empty, lsr, change, tmp_path
):
    change(other, lsr, predictions="")
    merge([sent(other, tmp_path)], empty.root)
    assert empty.annotations.read(lsr.key).names == ["submitted"]
    assert len(merge([store.root], empty.root).replaced) == 1
    assert empty.annotations.read(lsr.key).names == []


def test_a_replacement_that_breaks_off_leaves_a_submitted_record_with_its_sender(  # noqa: PLR0917  fixtures
    store, other, empty, lsr, change, tmp_path, monkeypatch
):
    change(other, lsr, predictions="")
    merge([sent(other, tmp_path)], empty.root)
    rename = Path.replace

    def failing(self, target):
        if Path(target).name == f"{lsr.key}.json":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    assert "input/output error" in merge([store.root], empty.root).refused[0]
    assert empty.read(lsr.key).predictions == ""
    assert empty.annotations.read(lsr.key).submitted.name == SENDER["name"]


def test_a_crash_never_leaves_a_submitted_record_without_its_sender(
    store, empty, lsr, tmp_path, monkeypatch
):
    rename = Path.replace

    def crash(self, target):
        if Path(target).name == f"{lsr.key}.json":
            raise OSError(5, "crash")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", crash)
    merge([sent(store, tmp_path)], empty.root)
    assert empty.read(lsr.key) is None
    assert (empty.root / f"{lsr.key}.marks.json").exists()
