"""What a method is: the classes that plugins subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genebench._util.progress import Progress, silent
from genebench.specs import Value

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from genebench.data.profiles import Profiles

Curve = Mapping[str, Sequence[float]]
"""A table of numbers by column, all of one length: the λ path, the learning curve."""


@dataclass(frozen=True)
class Context:
    """What a job tells its method besides the data.

    Attributes:
        seed: seeds everything random; the global generators of Python, numpy and torch are
            seeded with it already.
        device: ``cpu`` or ``cuda``; never one that the method's spec does not declare.
        progress: call it now and then with steps done, steps in all, and a few words.
        scratch: a folder of this job's own for checkpoints, which a killed job finds again when
            the same command is issued, and so does one that failed; None where nothing can be kept.
    """

    seed: int = 0
    device: str = "cpu"
    progress: Progress = silent
    scratch: Path | None = None


class Model(ABC):
    """A fitted method, chosen on one validation set.

    Attributes:
        choices: what the validation set decided (λ, k, the epoch, …); kept in the record.
        notes: one-line remarks that a reader of the result should see; kept in the record.
        curves: how it was chosen, by name (``path``, ``learning``, …); kept in the record.
        per_target: name → one number per target (its own λ, a duality gap); kept beside the
            record.
        n_parameters: how many numbers were learnt from the training profiles; None where that
            says nothing about the model. Kept in the record.
    """

    choices: Mapping[str, Value] = {}
    notes: tuple[str, ...] = ()
    curves: Mapping[str, Curve] = {}
    per_target: Mapping[str, NDArray[np.floating[Any]]] = {}
    n_parameters: int | None = None

    @abstractmethod
    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Infer targets: profiles × landmarks in, profiles × targets out, all standardised.

        Profiles come in blocks of any size; a profile's prediction depends on it alone.
        """

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """All that :meth:`predict` needs, as named arrays; none when it cannot be saved."""
        return {}


class Method(ABC):
    """An inference method. Created with its parameters in effect as keyword arguments.

    Each value is within the bounds of its declaration. Values that contradict each other are
    refused here, with :class:`genebench.UserError`.
    """

    def __init__(self, **params: Any) -> None:
        self.params = params

    @abstractmethod
    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Fit on the training profiles, once, and choose a model for each validation set.

        Args:
            train: the training profiles.
            validation_sets: protocol → its validation set, used only to choose: an epoch, λ, k.
            context: seed, device, progress.

        Returns:
            One model for each name in ``validation_sets``. The same object may serve several.
            The choice on one set must not depend on the other sets, because a run that continues
            asks only for the missing ones.
        """

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """The model that gave these :meth:`Model.tensors`, on the context's device.

        Raises:
            NotImplementedError: this method's models cannot be saved.
        """
        raise NotImplementedError(f"models of {type(self).__name__} cannot be saved")
