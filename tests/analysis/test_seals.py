"""Seals of results: the weakest of several seeds, and who could have cheated."""

from __future__ import annotations

import pytest

from genebench.analysis.seals import could_have_cheated, weakest


@pytest.fixture
def sealed(made_up):
    """Make a record of a method of a third party, or of another distribution, with a seal."""

    def sealed(level, *, mae=0.5, distribution="theirs"):
        code = {"distribution": distribution, "version": "1.0", "digest": "0" * 16}
        return made_up("net", {}, mae, code=code, seal={"level": level})

    return sealed


def test_several_seeds_are_sealed_as_their_weakest_and_failed_ones_do_not_count(sealed):
    assert weakest([sealed("landlock"), sealed("view"), sealed("landlock")]) == "view"
    assert weakest([sealed("view"), sealed("no")]) == "no"
    assert weakest([sealed("landlock"), sealed("no", mae=None)]) == "landlock"
    assert weakest([sealed("no", mae=None)]) is None


@pytest.mark.parametrize(
    ("level", "distribution", "could"),
    [
        ("landlock", "theirs", False),
        ("view", "theirs", True),
        ("no", "theirs", True),
        ("no", "genebench", False),
        ("no", "genebench-dgex", False),
        ("no", "genebench-dgex2", True),
    ],
)
def test_code_of_others_that_was_not_confined_could_have_cheated(
    sealed, level, distribution, could
):
    assert could_have_cheated(sealed(level, distribution=distribution)) is could


def test_a_job_that_failed_has_no_score_to_cheat_with(sealed):
    assert not could_have_cheated(sealed("no", mae=None))
