"""Tests of the checks: each method that breaks a rule is caught by the check of that rule.

Checks that start a process take seconds. They run on the honest method, and on the methods that
they should catch.
"""

from __future__ import annotations

import pytest

from genebench.conformance.checks.failure import _extremes
from genebench.conformance.collection import all_checks
from genebench.conformance.run import run_checks
from genebench.conformance.subject import Subject
from genebench.specs import Param

PROCESSES = {
    "starts_without_torch",
    "fits_without_test_files",
    "fits_the_same_when_sealed",
    "a_saved_model_predicts_the_same",
    "keeps_to_its_deadline",
}
BLOCKS = {
    "order_of_profiles_does_not_matter",
    "size_of_blocks_does_not_matter",
    "a_profile_is_predicted_by_itself",
}

RELEVANCE = {
    "relevance_adds_up",
    "gradients_follow_predictions",
    "relevance_is_that_of_each_profile",
}

READS = {"fits_without_test_files", "fits_the_same_when_sealed"}

CAUGHT_BY = {
    "mute": {"describes_itself"},
    "unreadable": {"writes_equations"},
    "declinesunknown": {"declines_known_protocols"},
    "nomethod": {"names_a_method"},
    "forgetsparameter": {"takes_every_preset", "names_a_bad_parameter", "fits"},
    "refusesquietly": {"names_a_bad_parameter"},
    "dividesbyparameter": {"names_a_bad_parameter"},
    "lookswordup": {"names_a_bad_parameter"},
    "losesvalidation": {"fits"},
    "transposed": {"predicts_many_profiles", "predicts_one_profile", "predicts_no_profile",
                   "predicts_profiles_far_out"},
    "squeezesone": {"predicts_one_profile", "size_of_blocks_does_not_matter"},
    "refusesnone": {"predicts_no_profile"},
    "notanumber": {"predicts_profiles_far_out"},
    "readsmemory": {"predicts_any_layout"},
    "mutatesprofiles": {"fit_leaves_profiles_alone"},
    "mutateslandmarks": {"predict_leaves_landmarks_alone"},
    "refusesreadonly": {"takes_read_only_maps"},
    "spoilsgenerator": {"leaves_generators_alone"},
    "spoilspython": {"leaves_generators_alone"},
    "spoilstorchgenerator": {"leaves_generators_alone"},
    "spoilstorch": {"leaves_settings_alone"},
    "spoilsdevice": {"leaves_settings_alone"},
    "spoilscudnn": {"leaves_settings_alone"},
    "spoilserrors": {"leaves_settings_alone"},
    "dependsonrows": BLOCKS - {"a_profile_is_predicted_by_itself"},
    "dependsongenes": {"order_of_genes_does_not_matter"},
    # With genes permuted, there is no file beneath the profiles to peek at.
    "peeksatplatform": READS | {"order_of_genes_does_not_matter"},
    "peeksatstore": READS | {"order_of_genes_does_not_matter"},
    "peeksnextdoor": READS | {"order_of_genes_does_not_matter"},
    "peeksatprocess": READS | {"order_of_genes_does_not_matter"},
    "adaptstolargeblocks": {"size_of_blocks_does_not_matter"},
    "adaptstofirstblock": {"earlier_predictions_do_not_matter"},
    "transductive": BLOCKS - {"order_of_profiles_does_not_matter"},
    "fitsonvalidation": {"validation_targets_only_choose", "validation_landmarks_only_choose"},
    "choosespergene": set(),
    "fitssecretly": {"validation_targets_only_choose", "validation_landmarks_only_choose"},
    "fitsinsteps": {"validation_targets_only_choose"},
    "adaptstovalidation": {"validation_landmarks_only_choose"},
    "looksatothervalidations": {"validation_sets_are_apart"},
    "constant": {"learns_what_is_easy"},
    "overconfident": {"is_not_absurd_on_noise"},
    "readsclock": {"the_same_seed_gives_the_same"},
    "drawspredictions": {"predicting_again_gives_the_same"},
    "ignoresseed": {"the_seed_matters_as_declared"},
    "dependsonseed": {"the_seed_matters_as_declared"},
    "forgetsbias": {"a_saved_model_predicts_the_same"},
    "swallowsinterrupt": {"an_interrupted_fit_leaves_no_record"},
    "spoiledbyinterrupt": {"an_interrupted_fit_is_continued"},
    "ignoresdeadline": {"keeps_to_its_deadline"},
    "explained": set(),
    "namesownrule": {"names_known_rules"},
    "losesrelevance": {"relevance_adds_up"},
    "explainsanothersum": {"relevance_adds_up", "gradients_follow_predictions"},
    "mixeslandmarksup": {"gradients_follow_predictions"},
    "comparesrelevance": {"gradients_follow_predictions", "relevance_is_that_of_each_profile"},
    "transposesrelevance": RELEVANCE,
}  # fmt: skip
"""Method → every check that it fails."""


ROADS = {
    "road-honest": set(),
    "road-map": READS,
    "road-store": READS,
    "road-storelate": {"fits_the_same_when_sealed"},
    "road-objects": READS,
    "road-frames": {"fits_the_same_when_sealed"},
    "road-maps": READS,
    "road-scoring": {"leaves_genebench_alone"},
    "road-rivals": {"writes_to_its_scratch_folder_only"},
    "road-cache": {"writes_to_its_scratch_folder_only"},
    "road-transductive": {"predicting_again_gives_the_same"},
}
"""Method that cheats by a road of tests/sealing → checks that name it, of :data:`SEEN_BY`."""
SEEN_BY = {
    *READS, "leaves_genebench_alone", "writes_to_its_scratch_folder_only",
    "predicting_again_gives_the_same",
}  # fmt: skip


def outcomes(name, wanted):
    subject = Subject(name)
    checks = [check for check in all_checks() if check.name in wanted]
    return list(run_checks(subject, checks, {}))


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_a_method_that_breaks_a_rule_is_caught_by_the_check_of_the_rule(
    dishonest, name, monkeypatch
):
    if "leaves_settings_alone" in CAUGHT_BY[name]:
        pytest.importorskip("torch")
    monkeypatch.setattr("genebench.conformance.checks.life._GRACE_SECONDS", 0.5)
    monkeypatch.setattr("genebench.conformance.checks.life._DEADLINE_MINUTES", 0.001)
    cheap = {check.name for check in all_checks()} - PROCESSES
    results = outcomes(name, cheap | CAUGHT_BY[name])
    failed = {o.check.name: o.detail for o in results if o.status == "failed"}
    assert set(failed) == CAUGHT_BY[name], failed


@pytest.mark.parametrize("name", ROADS)
def test_a_cheat_that_the_seal_stops_is_named_by_a_check(dishonest, name):
    failed = {o.check.name: o.detail for o in outcomes(name, SEEN_BY) if o.status == "failed"}
    assert set(failed) >= ROADS[name], failed
    assert bool(failed) == bool(ROADS[name])


def test_an_honest_method_passes_every_check(dishonest):
    results = outcomes("honest", {check.name for check in all_checks()})
    assert [o for o in results if o.status == "failed"] == []
    skipped = {o.check.name: o.detail for o in results if o.status == "skipped"}
    assert skipped.pop("gpu_matches_cpu") == "it declares one device"
    skipped.pop("cpu_leaves_the_gpu_alone", None)
    reason = "its models have no relevance_rules, so genebench explain permutes their landmarks"
    assert {skipped.pop(name) for name in (*RELEVANCE, "names_known_rules")} == {reason}
    assert skipped == {
        "keeps_to_its_deadline": "it has no parameter minutes",
        "names_a_bad_parameter": "it has no parameters",
    }


def test_every_check_catches_some_method():
    caught = set().union(*CAUGHT_BY.values(), *ROADS.values())
    elsewhere = {"starts_without_torch"}
    need_a_gpu = {"gpu_matches_cpu", "cpu_leaves_the_gpu_alone"}
    assert {check.name for check in all_checks()} == caught | elsewhere | need_a_gpu


def test_lists_are_tried_empty_once_and_at_every_length_that_counts():
    declared = {"name": "p", "help": "h", "minimum": 1, "maximum": 2}
    bounded = Param(default=(1, 1), min_length=0, max_length=3, **declared)
    assert [*_extremes(bounded)] == [(), (1, 1), (1, 1, 1), (2, 2), (2, 2, 2)]
    assert [len(value) for value in _extremes(Param(default=(1,), **declared))] == [1, 500, 1, 500]
    words = Param(name="p", help="h", default=("a",))
    # 500 of such words are more letters than a value may have.
    assert [*_extremes(words)] == [("no-such-word",)]
