"""Entry conditions: a sound submission meets them all, and each fault breaks its own."""

from __future__ import annotations

import pytest

from genebench.plugins.registry import registry
from genebench.results.record import Failure, PluginOrigin, Seal
from genebench.results.submission import CONDITIONS, Submission, unmet

SENDER = {"name": "A. Person", "contact": "a@example.org", "licence": ""}


def broken(store, *, sender=SENDER, seeds=1) -> list[str]:
    """Conditions that the records of a folder do not meet, by the name of their function."""
    records = tuple(store.records())
    violations = unmet(Submission(records, store, registry(), sender, seeds))
    for violation in violations:
        assert violation.offenders
        assert "\n" not in str(violation)
    return [violation.condition.offenders.__name__ for violation in violations]


def test_every_condition_is_one_line_of_sentences_with_a_remedy():
    for condition in CONDITIONS:
        assert condition.text.endswith(".")
        assert "\n" not in condition.text
        assert condition.remedy.endswith(".")


def test_what_genebench_wrote_meets_every_condition(store):
    assert broken(store) == []


@pytest.mark.parametrize("what", ["name", "contact"])
@pytest.mark.parametrize("text", ["", "  "])
def test_it_must_say_who(store, what, text):
    assert broken(store, sender=SENDER | {what: text}) == ["_without_sender"]


def test_nothing_at_all_is_no_submission(store):
    for key in store.keys():  # noqa: SIM118  not a mapping
        (store.root / f"{key}.json").unlink()
    assert broken(store) == ["_no_results"]


def test_a_trial_is_no_result(store, lsr, again):
    again(store, lsr, test=lsr.identity.validation)
    assert "_no_results" in broken(store)


def test_a_failed_job_is_not_submitted(store, lsr, change):
    failure = Failure(kind="ValueError", message="no luck", traceback="")
    change(store, lsr, status="failed", scores={}, failure=failure, vectors="", predictions="")
    assert broken(store) == ["_failed"]


def test_an_edited_record_is_not_submitted(store, lsr, edit):
    edit(store, lsr, lambda content: content["seconds"].update(fit=0.0))
    assert broken(store) == ["_unsound"]


def test_a_record_of_an_older_format_is_not_submitted(store, lsr, edit):
    def older(content):
        content["format"] = 1
        del content["checksum"], content["model_parameters"], content["provenance"]["plugins"]
        del content["seal"], content["reason"], content["timing"], content["energy"]
        del content["provenance"]["processor"]
        for table in (content["identity"], content["profiles"]):
            table["select"] = table.pop("validation")

    edit(store, lsr, older)
    assert "_old_format" in broken(store)


@pytest.mark.parametrize("missing", ["profile.id", "profile-share.cc.all"])
def test_a_record_that_cannot_be_compared_is_not_submitted(store, lsr, missing):
    vectors = store.vectors(lsr)
    del vectors[missing]
    store.write(lsr, vectors)
    assert broken(store) == ["_incomparable"]


@pytest.mark.parametrize(
    "identity",
    [{"protocol": "mine"}, {"protocol_version": 99}, {"train": "geo"}, {"splits": {"group": "d"}}],
)
def test_a_protocol_that_is_not_the_published_one_is_not_submitted(store, lsr, again, identity):
    again(store, lsr, **identity)
    assert broken(store) == ["_unpublished_protocol"]


@pytest.mark.parametrize(
    "origin",
    [
        PluginOrigin(version="1", install="file"),
        PluginOrigin(version="1", install="editable", commit="c", dirty=True),
        PluginOrigin(version="1", install="editable"),
    ],
)
def test_code_that_nobody_else_can_have_is_not_submitted(store, lsr, change, origin):
    plugins = lsr.provenance.plugins | {lsr.identity.code.distribution: origin}
    provenance = lsr.provenance.model_copy(update={"plugins": plugins})
    change(store, lsr, provenance=provenance)
    assert broken(store) == ["_unavailable_code"]


@pytest.mark.parametrize("lost", [{"plugins": {}}, {"command": ""}, {"started": ""}])
def test_a_record_that_does_not_say_where_it_came_from_is_not_submitted(store, lsr, change, lost):
    change(store, lsr, provenance=lsr.provenance.model_copy(update=lost))
    assert broken(store) == ["_unknown_origin"]


def test_a_stochastic_method_needs_every_seed_and_others_only_their_one(store, lsr, again):
    assert broken(store, seeds=3) == []
    for seed in (0, 2):
        again(store, lsr, method="dgex", seed=seed)
    assert broken(store, seeds=3) == ["_missing_seeds"]
    again(store, lsr, method="dgex", seed=1)
    assert broken(store, seeds=3) == []
    assert broken(store, seeds=4) == ["_missing_seeds"]


def test_of_a_method_that_is_not_installed_the_seeds_tell(store, lsr, again):
    again(store, lsr, method="theirs", seed=0)
    assert broken(store, seeds=2) == []
    again(store, lsr, method="theirs", seed=2)
    assert broken(store, seeds=3) == ["_missing_seeds"]


def test_a_method_that_was_not_sealed_is_not_submitted_shipped_or_not(store, lsr, change):
    change(store, lsr, seal=Seal(level="view", reason="old kernel"))
    assert broken(store) == []
    change(store, lsr, seal=Seal(level="no", reason="switched off"))
    [violation] = unmet(Submission(tuple(store.records()), store, registry(), SENDER, 1))
    assert violation.condition.remedy == "Run again with --sealed require."
    name = f"lsr seed 0 under geo ({lsr.key})"
    assert violation.offenders == (f"{name} was not sealed: switched off",)


def test_a_failed_job_is_not_said_to_be_unsealed_too(store, lsr, change):
    failure = Failure(kind="ValueError", message="no luck", traceback="")
    lost = {"status": "failed", "scores": {}, "vectors": "", "predictions": ""}
    change(store, lsr, failure=failure, seal=Seal(level="no"), **lost)
    assert broken(store) == ["_failed"]


@pytest.mark.parametrize(
    ("changes", "unmet_conditions"),
    [
        ({"protocol": "geo-n50", "train": "geo/train/50-profiles"}, []),
        ({"protocol": "geo-n50", "train": "geo/train"}, ["_unpublished_protocol"]),
        ({"protocol": "gone-n50"}, ["_unpublished_protocol"]),
    ],
)
def test_a_published_protocol_may_have_a_size(store, lsr, again, changes, unmet_conditions):
    again(store, lsr, **changes)
    assert [name for name in broken(store) if "protocol" in name] == unmet_conditions
