"""Base classes of methods and models, which plugins subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from genebench._util.progress import Progress, silent

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from genebench.data.profiles import Profiles
    from genebench.specs import Scalar

Curve = Mapping[str, Sequence[float]]
"""Table of numbers behind a choice: column → values, all columns of one length.

A model gives curves by name, as :attr:`Model.curves`, and they are kept in the record. ``path`` has
a column for each parameter that was searched and ``mae`` on the validation set:
``{"lambda": [1, 10], "mae": [0.4, 0.3]}``. ``learning`` has ``epoch``, and one column for each
error that was followed. Other names are free. ``genebench report curve NAME`` and
``Results.curve(NAME)`` show them. Numbers must be finite. A record holds up to 50 curves of 50
columns and 20,000 points.
"""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Context:
    """Settings of a job for its method.

    Attributes:
        seed: seed of all random numbers. The global generators of Python, numpy and torch are
            seeded with it already.
        device: ``cpu`` or ``cuda``, and always a device that the method's spec declares.
        progress: callback for steps done, steps in all, and a short description.
        scratch: the job's folder for checkpoints. It is still there when a killed or failed job
            is run again by the same command. None if nothing can be kept.
        stop_is_asked: function that returns True once the job should end soon, because others need
            the machine, or its time is nearly over. A method that can continue from ``scratch``
            then writes there, and raises KeyboardInterrupt. Others need not ask.
        members: protocol → method → its fitted model for that protocol, in the order of
            their names. Empty unless the method's spec names ``members``.
    """

    seed: int = 0
    device: str = "cpu"
    progress: Progress = silent
    scratch: Path | None = None
    stop_is_asked: Callable[[], bool] = _never
    members: Mapping[str, Mapping[str, Model]] = field(default_factory=dict)


class NotApplicable(Exception):  # noqa: N818  no error: the method says what it cannot do
    """Raised by a method that cannot do these data or this protocol, with the reason.

    A method may raise it when it is created, and in :meth:`Method.fit`. The results then have the
    status ``not applicable``, which is no failure. A model must not raise it: what a method
    can do must not depend on test profiles. ``MethodSpec.not_applicable`` declares the protocols
    that a method never can do.
    """


class Attribution(NamedTuple):
    """The weighted sum of a profile's predictions, as a sum over its landmarks."""

    values: NDArray[np.floating[Any]]
    """Relevance, profiles × landmarks: the part of the sum that each landmark carries."""
    rest: NDArray[np.floating[Any]]
    """The part that no landmark carries, one number per profile: biases, or the prediction of a
    profile whose landmarks are all at their means."""
    output: NDArray[np.floating[Any]]
    """The weighted sum itself, one number per profile."""


class Model(ABC):
    """A fitted method, with choices made on one validation set.

    Attributes:
        choices: values chosen on the validation set (λ, k, the epoch, …). Kept in the record.
        notes: one-line remarks for the reader of the result. Kept in the record.
        curves: name → errors of all candidates (``path``, ``learning``, …). Kept in the record.
        per_target: name → one number per target, such as a λ or a duality gap. Kept beside the
            record.
        n_parameters: number of values learnt from the training profiles. None if that does not
            describe the model. Kept in the record.
        relevance_rules: names of the rules that :meth:`relevance` has, the usual one first. Empty
            for a model without that method. Its landmarks are permuted instead.
    """

    choices: Mapping[str, Scalar | Sequence[Scalar]] = {}
    notes: tuple[str, ...] = ()
    curves: Mapping[str, Curve] = {}
    per_target: Mapping[str, NDArray[np.floating[Any]]] = {}
    n_parameters: int | None = None
    relevance_rules: Sequence[str] = ()

    @abstractmethod
    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Return predicted targets, profiles × targets, standardised.

        Args:
            landmarks: profiles × landmarks, standardised, in blocks of any size. The prediction of
                a profile may depend on that profile only.
        """

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays that :meth:`predict` needs, by name.

        An empty result means that the model cannot be saved.
        """
        return {}

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of the predicted targets.

        For most models, a function of :mod:`genebench.relevance` does the work. The result must
        not depend on the other profiles of the block.

        Args:
            landmarks: profiles × landmarks, standardised, in blocks of any size.
            weights: one for each target. The sum is ``predict(landmarks) @ weights``.
            rule: one of ``relevance_rules``.

        Raises:
            NotImplementedError: the model has no relevance. Its ``relevance_rules`` are empty.
        """
        raise NotImplementedError(f"{type(self).__name__} has no relevance")


class Method(ABC):
    """An inference method, created with its parameters in effect as keyword arguments.

    Each value is within the bounds of its declaration. ``__init__`` may refuse values that
    contradict each other, with :class:`genebench.UserError`.
    """

    def __init__(self, **params: Any) -> None:
        self.params = params

    def check(self, train: Profiles) -> None:  # noqa: B027  most methods have nothing to refuse
        """Refuse parameters that contradict the training profiles. No expression is read.

        It is called before the first job of a run, where the method is created there: not for a
        sealed method, nor with an engine that gives jobs processes of their own. So :meth:`fit`
        has to call it, too.

        Args:
            train: the training profiles.

        Raises:
            UserError: the parameters contradict them.
        """

    @abstractmethod
    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Fit once on the training profiles, and choose a model for each validation set.

        Args:
            train: the training profiles.
            validation_sets: protocol → its validation set, only for choices such as an epoch or λ.
            context: seed, device, progress.

        Raises:
            NotApplicable: the method cannot do these data or protocols.

        Returns:
            One model for each name in ``validation_sets``. The same object may serve several sets.
            The choice on one set must not depend on other sets, because a run that continues
            passes only the missing sets.
        """

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model that had these :meth:`Model.tensors`, on the context's device.

        If the method is made of others, ``context.members`` has one protocol, with their models.

        Raises:
            NotImplementedError: the models of this method cannot be saved.
        """
        raise NotImplementedError(f"models of {type(self).__name__} cannot be saved")
