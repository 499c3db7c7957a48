"""Control methods, which every table shows beside the other methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.method import Attribution, Context, Method, Model
from genebench.specs import MethodSpec, Needs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genebench.data.profiles import Profiles

genebench_contract = CONTRACT

# Measured: 0.13 GB for 0.2 MB of data, 0.9 GB and 12 s for 3.7 GB, which is mostly the scoring.
NEEDS = Needs(
    cpus=1, gpus=0, memory=512 << 20, memory_per_byte=0.2,
    seconds=300.0, seconds_per_gigabyte=30.0,
)  # fmt: skip

READING = "1300 * train * (landmarks + targets)"
"""Operations of a control: it reads the training profiles, which takes longer than its sums."""


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return the control methods.

    The train mean is the floor of any table. The twin copy shows how far genes that are landmarks
    and targets carry.
    """
    return [
        MethodSpec(
            name="train-mean",
            title="train mean",
            summary="predicts every target by its mean over the training profiles",
            code="genebench.methods.controls:TrainMean",
            control=True,
            needs={"paper": NEEDS},
            work=READING,
        ),
        MethodSpec(
            name="copy-twin",
            title="copy twin",
            summary="copies the landmark to the target that is the same gene, else the train mean",
            code="genebench.methods.controls:CopyTwin",
            control=True,
            needs={"paper": NEEDS},
            work=READING,
        ),
    ]


class TrainMean(Method):
    """Prediction of the training mean. It is constant, so its concordance is 0 by definition."""

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model of a saved constant."""
        return Constant(tensors["values"])

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Average the training targets. The validation sets have nothing to choose."""
        model = Constant(_target_means(train))
        return dict.fromkeys(validation_sets, model)


class CopyTwin(Method):
    """Copy of the landmark that is the same gene as the target, else the training mean.

    445 of the 943 published landmarks are targets, too.
    """

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model of a saved constant and saved positions of landmarks."""
        return TwinCopy(tensors["values"], tensors["landmark_of"])

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Find the twins. The validation sets have nothing to choose."""
        landmark_of = train.landmark_genes.index.get_indexer(train.target_genes.index)
        model = TwinCopy(_target_means(train), landmark_of)
        return dict.fromkeys(validation_sets, model)


class Constant(Model):
    """The same prediction for every profile: one value for each target."""

    relevance_rules = ("exact",)

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values
        self.n_parameters = len(values)

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the constant for each profile."""
        return self.values[None, :].repeat(len(landmarks), axis=0)

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return one value for each target."""
        return {"values": self.values}

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return no relevance: no landmark carries a constant."""
        import numpy as np

        from genebench.methods.relevance import linear_relevance

        return linear_relevance(
            landmarks, np.zeros(landmarks.shape[1]), float(self.values @ weights)
        )


class TwinCopy(Constant):
    """A constant, except for targets that are landmarks.

    ``landmark_of`` holds the position of a landmark for each target, or −1.
    """

    def __init__(self, values: NDArray[np.float32], landmark_of: NDArray[np.intp]) -> None:
        super().__init__(values)
        self.landmark_of = landmark_of
        self.targets = (landmark_of >= 0).nonzero()[0]
        self.landmarks = landmark_of[self.targets]

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the constant, with the targets that are landmarks copied from them."""
        predicted = super().predict(landmarks)
        predicted[:, self.targets] = landmarks[:, self.landmarks]
        return predicted

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return one value, and the position of one landmark or −1, for each target."""
        return {"values": self.values, "landmark_of": self.landmark_of}

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return the weight of its twin as the slope of each landmark."""
        import numpy as np

        from genebench.methods.relevance import linear_relevance

        copied = weights[self.targets]
        slopes = np.zeros(landmarks.shape[1])
        np.add.at(slopes, self.landmarks, copied)
        constant = self.values @ weights - self.values[self.targets] @ copied
        return linear_relevance(landmarks, slopes, float(constant))


def _target_means(train: Profiles) -> NDArray[np.float32]:
    # Summed in float64: float32 sums over 100,000 profiles would lose digits.
    total = sum(block.sum(axis=0, dtype="float64") for block in train.column_blocks("targets"))
    means: NDArray[np.float32] = (total / len(train)).astype("float32")
    return means
