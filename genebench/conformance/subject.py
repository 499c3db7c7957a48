"""The subject of the checks: a method, its data folder, and its fits."""

from __future__ import annotations

from collections.abc import Mapping

from genebench.conformance.fits import Fits
from genebench.conformance.method_under_check import MethodUnderCheck
from genebench.conformance.temporary_home import TemporaryHome


class Subject:
    """A method under check.

    Attributes:
        method: the method with its parameters.
        home: the folder of its datasets.
        fits: its fits on the easy dataset, and their predictions.
    """

    def __init__(
        self, method: str, *, preset: str = "tiny", overrides: Mapping[str, str] | None = None
    ) -> None:
        """Find an installed method.

        Args:
            method: its name.
            preset: the preset of its parameters.
            overrides: parameter → value, as typed.

        Raises:
            UserError: there is no such method or parameter, or a value is out of range.
        """
        self.method = MethodUnderCheck(method, preset=preset, overrides=overrides)
        self.home = TemporaryHome()
        self.fits = Fits(self.method)

    def __str__(self) -> str:
        return self.method.spec.name

    def __repr__(self) -> str:
        return f"<Subject {self}>"
