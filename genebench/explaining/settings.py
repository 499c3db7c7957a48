"""Settings of an explanation, and the checks that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from genebench.errors import UserError, unknown
from genebench.explaining.relevance import RULES

ProfilesBy = Literal["expression", "landmarks", "relevance"]
TargetsBy = Literal["expression", "predictions"]

_NUMBERS = {
    "profile_clusters": "profiles",
    "target_clusters": "targets",
    "landmark_groups": "landmarks",
}
"""Number of clusters → the things that are clustered."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an explanation depends on, besides the model and the data.

    The defaults of the numbers are those of Figures 2 and 3 of Wang et al. 2018. The paper names
    neither its rule nor its seeds, nor the values that it clusters.
    """

    rule: str = "auto"
    """Rule of relevance. ``auto`` is the first that the model offers."""
    profile_clusters: int = 20
    """Clusters of test profiles."""
    target_clusters: int = 20
    """Clusters of target genes."""
    landmark_groups: int = 10
    """Groups of landmarks, by their relevance for the clusters of targets."""
    top: int = 20
    """Landmarks that are listed for each cluster."""
    profiles_by: ProfilesBy = "expression"
    """Values that profiles are clustered by: all genes, landmarks, or relevance."""
    targets_by: TargetsBy = "expression"
    """Values that targets are clustered by: those that were measured, or those predicted."""
    components: int = 50
    """Principal components that K-means sees, at most."""
    label: str = ""
    """Column of the profile table that describes clusters. Empty: tissue, series or group."""
    seed: int = 0
    """Seed of K-means, of components and of the shuffled control."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            UserError: a value is out of range, or not one of its choices.
        """
        if self.rule not in RULES:
            raise unknown("rule of relevance", self.rule, RULES)
        for name in ("profiles_by", "targets_by"):
            allowed = get_args({"profiles_by": ProfilesBy, "targets_by": TargetsBy}[name])
            if getattr(self, name) not in allowed:
                raise unknown(f"value of {name}", str(getattr(self, name)), allowed)
        for declared in fields(self):
            value = getattr(self, declared.name)
            least = {"seed": 0, "top": 1, "components": 1}.get(declared.name, 2)
            if isinstance(value, int) and value < least:
                option = declared.name.replace("_", "-")
                raise UserError(f"--{option} {value}: out of range. The smallest value is {least}.")

    def check_sizes(self, **sizes: int) -> None:
        """Refuse more clusters than there are things to cluster.

        Args:
            sizes: number of ``profiles``, ``targets`` and ``landmarks``.

        Raises:
            UserError: there are fewer than clusters.
        """
        for name, things in _NUMBERS.items():
            wanted, present = getattr(self, name), sizes[things]
            if present < wanted:
                option = name.replace("_", "-")
                raise UserError(
                    f"{present:,} {things} are too few for {wanted} clusters. Ask for fewer by "
                    f"--{option}, or use a larger dataset."
                )

    def label_column(self, columns: Sequence[str]) -> str:
        """Return the column of a profile table that describes clusters, or nothing.

        Raises:
            UserError: the column that is asked for does not exist.
        """
        if self.label and self.label not in columns:
            raise unknown("column of the profile table", self.label, columns)
        usual = ("tissue", "cell_type", "disease", "series", "group")
        return self.label or next((name for name in usual if name in columns), "")


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Return settings by name.

    Raises:
        UserError: there is no such setting, or a value is out of range.
    """
    names = [declared.name for declared in fields(Settings)]
    for name in values:
        if name not in names:
            raise unknown("setting of an explanation", name, names)
    return Settings(**values)
