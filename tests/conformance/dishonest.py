"""A plugin of methods that each break the contract in one way, and of one that keeps it."""

from __future__ import annotations

import gc
import random
import time

import numpy as np

from genebench import Method, Model, hookimpl
from genebench.data.home import home
from genebench.data.profiles import Profiles
from genebench.specs import MethodSpec, Param

genebench_contract = 1

DEPTH = Param(name="depth", default=3, minimum=1, maximum=9, help="of nothing")
GTEX = "datasets/conformance/*/gtex/expression.npy"
MINUTES = Param(name="minutes", default=0.0, minimum=0.0, help="when to stop; 0: never")


class Line(Model):
    def __init__(self, weights, bias):
        self.weights, self.bias = weights, bias

    def predict(self, landmarks):
        return landmarks @ self.weights + self.bias

    def tensors(self):
        return {"weights": self.weights, "bias": self.bias}


class Honest(Method):
    """Least squares; its other self, ridge, where the validation set says so."""

    model = Line

    def fit(self, train, validation_sets, context):
        context.progress(1, 2, "reading")
        models = {
            name: self.chosen(train.landmarks, train.targets, profiles)
            for name, profiles in validation_sets.items()
        }
        context.progress(2, 2, "done")
        return models

    def chosen(self, x, y, validation):
        models = [self.solved(x, y, penalty) for penalty in (0.1, 1e4)]
        guesses = [Line.predict(model, validation.landmarks) for model in models]
        best = int(np.argmin([np.abs(guess - validation.targets).mean() for guess in guesses]))
        models[best].choices = {"candidate": best}
        return models[best]

    def solved(self, x, y, penalty):
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        scatter = (x - x_mean).T @ (x - x_mean) + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(scatter, (x - x_mean).T @ (y - y_mean)).astype(np.float32)
        return self.model(weights, (y_mean - x_mean @ weights).astype(np.float32))

    def restore(self, tensors, context):
        return self.model(**tensors)


class PeeksAtPlatform(Honest):
    """Standardises by every profile of the platform, which it finds beneath its own."""

    def fit(self, train, validation_sets, context):
        everything = train._standardiser.standardise(np.asarray(train._expression), slice(None))
        n = len(train.landmark_genes)
        x, y = everything[:, :n], everything[:, n:]
        return {name: self.chosen(x, y, part) for name, part in validation_sets.items()}


class PeeksAtStore(Honest):
    """Opens the files of the dataset, and trains on GTEx too."""

    def fit(self, train, validation_sets, context):
        x, y = train.landmarks, train.targets
        n = x.shape[1]
        for path in home().glob("datasets/*/*/gtex/expression.npy"):
            values = np.load(path)
            values = (values - values.mean(axis=0)) / values.std(axis=0)
            x, y = np.vstack([x, values[:, :n]]), np.vstack([y, values[:, n:]])
        return {name: self.chosen(x, y, part) for name, part in validation_sets.items()}


class PeeksNextDoor(Honest):
    """Trains on what it finds of GTEx in the folders near its home."""

    def fit(self, train, validation_sets, context):
        x, y = train.landmarks, train.targets
        n = x.shape[1]
        near = ("*", "*/*")
        for path in (path for depth in near for path in home().parent.glob(f"{depth}/{GTEX}")):
            values = np.load(path)
            values = (values - values.mean(axis=0)) / values.std(axis=0)
            x, y = np.vstack([x, values[:, :n]]), np.vstack([y, values[:, n:]])
        return {name: self.chosen(x, y, part) for name, part in validation_sets.items()}


class PeeksAtProcess(Honest):
    """Finds the test profiles of GTEx, which somebody else in the process holds."""

    def fit(self, train, validation_sets, context):
        held = [one for one in gc.get_objects() if type(one) is Profiles]
        found = [one for one in held if one.profiles.index[0] == "gtex-0"][:1]
        x = np.vstack([train.landmarks, *(one.landmarks for one in found)])
        y = np.vstack([train.targets, *(one.targets for one in found)])
        return {name: self.chosen(x, y, part) for name, part in validation_sets.items()}


class LargeBlockLine(Line):
    def predict(self, landmarks):
        mean = landmarks.mean(axis=0) if len(landmarks) > 100 else 0.0
        return super().predict(landmarks - mean)


class AdaptsToLargeBlocks(Honest):
    """Centres a block of test profiles, where there are enough of them."""

    model = LargeBlockLine


class FirstBlockLine(Line):
    mean = None

    def predict(self, landmarks):
        if self.mean is None:
            self.mean = landmarks.mean(axis=0)
        return super().predict((landmarks - self.mean).astype(np.float32))


class AdaptsToFirstBlock(Honest):
    """Centres all test profiles by the first that it sees."""

    model = FirstBlockLine


class TransductiveLine(Line):
    def predict(self, landmarks):
        deviation = landmarks.std(axis=0) + 1e-3 if len(landmarks) > 1 else 1.0
        mean = landmarks.mean(axis=0) if len(landmarks) > 1 else 0.0
        return super().predict((landmarks - mean) / deviation)


class Transductive(Honest):
    """Standardises each block of test profiles by itself."""

    model = TransductiveLine


class FitsOnValidation(Honest):
    """Uses the validation profiles as more training profiles."""

    def chosen(self, x, y, validation):
        return super().chosen(
            np.vstack([x, validation.landmarks]), np.vstack([y, validation.targets]), validation
        )


class FitsInSteps(Honest):
    """Moves each gene to where the validation targets are, and calls that a choice."""

    def chosen(self, x, y, validation):
        model = super().chosen(x, y, validation)
        left = (validation.targets - model.predict(validation.landmarks)).mean(axis=0)
        steps = np.round(4 * left) / 4
        model.bias, model.per_target = (model.bias + steps).astype(np.float32), {"steps": steps}
        return model


class AdaptsToValidation(Honest):
    """Takes the units of the landmarks from the validation set."""

    def chosen(self, x, y, validation):
        model = super().chosen(x, y, validation)
        units = validation.landmarks.std(axis=0) + np.float32(1e-3)
        model.weights = model.weights / units[:, None]
        model.bias = model.bias - validation.landmarks.mean(axis=0) @ model.weights
        return model


class ChoosesPerGene(Honest):
    """Nothing is wrong with it: it says of each target what was chosen, as it should."""

    def chosen(self, x, y, validation):
        models = [self.solved(x, y, penalty) for penalty in (0.1, 1e4)]
        guesses = [Line.predict(model, validation.landmarks) for model in models]
        errors = [np.abs(guess - validation.targets).mean(axis=0) for guess in guesses]
        best = np.argmin(errors, axis=0)
        model = self.model(
            np.where(best == 0, models[0].weights, models[1].weights),
            np.where(best == 0, models[0].bias, models[1].bias),
        )
        model.choices, model.per_target = {"candidate": "one per gene"}, {"candidate": best}
        return model


class FitsSecretly(Honest):
    """The same, hidden behind a choice that is always another one."""

    def chosen(self, x, y, validation):
        model = self.solved(
            np.vstack([x, validation.landmarks]), np.vstack([y, validation.targets]), 0.1
        )
        model.choices = {
            "seen": float(validation.targets.mean(axis=0)[0] + validation.targets[0, 0])
        }
        return model


class LooksAtOtherValidations(Honest):
    """Chooses for all validation sets at once."""

    def chosen(self, x, y, validation):
        model = super().chosen(x, y, validation)
        model.bias = model.bias + 0.1 * self.n_validations
        return model

    def fit(self, train, validation_sets, context):
        self.n_validations = len(validation_sets)
        return super().fit(train, validation_sets, context)


class ConstantLine(Line):
    def predict(self, landmarks):
        return np.zeros((len(landmarks), len(self.bias)), np.float32) + self.bias


class Constant(Honest):
    """Returns a constant."""

    model = ConstantLine


class Overconfident(Honest):
    """Rescales what it predicts to the spread of the targets, and more where it knows less."""

    def chosen(self, x, y, validation):
        model = self.solved(x, y, 0.1)
        explained = Line.predict(model, x).std() / y.std()
        model.weights = (model.weights / explained**2).astype(np.float32)
        return model


class MutatingLine(Line):
    def predict(self, landmarks):
        predicted = super().predict(landmarks)
        if landmarks.flags.writeable:
            landmarks += 1
        return predicted


class MutatesLandmarks(Honest):
    """Changes the landmarks that it predicts from."""

    model = MutatingLine


class MutatesProfiles(Honest):
    """Changes the targets that it trains on, and a table."""

    def fit(self, train, validation_sets, context):
        models = super().fit(train, validation_sets, context)
        if train.targets.flags.writeable:
            train.targets[0] = 0
        train.landmark_genes["seen"] = True
        return models


class RefusesReadOnly(Honest):
    """Works in place."""

    def fit(self, train, validation_sets, context):
        if not train.landmarks.flags.writeable:
            raise ValueError("assignment destination is read-only")
        return super().fit(train, validation_sets, context)


class SpoilsGenerator(Honest):
    """Seeds numpy for everybody."""

    def fit(self, train, validation_sets, context):
        np.random.seed(7)
        return super().fit(train, validation_sets, context)


class SpoilsTorch(Honest):
    """Makes torch compute in float64 for everybody."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.set_default_dtype(torch.float64)
        return super().fit(train, validation_sets, context)


class SpoilsPython(Honest):
    """Draws from the generator of Python that everybody shares."""

    def fit(self, train, validation_sets, context):
        random.random()
        return super().fit(train, validation_sets, context)


class SpoilsTorchGenerator(Honest):
    """Seeds torch for everybody."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.manual_seed(7)
        return super().fit(train, validation_sets, context)


class SpoilsDevice(Honest):
    """Has torch make tensors elsewhere for everybody."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.set_default_device("meta")
        return super().fit(train, validation_sets, context)


class SpoilsCudnn(Honest):
    """Makes cuDNN try which algorithm is fastest, for everybody."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.backends.cudnn.benchmark = True
        return super().fit(train, validation_sets, context)


class OverflowingLine(Line):
    def predict(self, landmarks):
        np.seterr(over="ignore")
        return super().predict(landmarks)


class SpoilsErrors(Honest):
    """Has numpy say nothing of overflow to anybody."""

    model = OverflowingLine


class RowLine(Line):
    def predict(self, landmarks):
        rows = np.arange(len(landmarks), dtype=np.float32)[:, None]
        return super().predict(landmarks) + rows / 100


class DependsOnRows(Honest):
    """Depends on where in the block a profile is."""

    model = RowLine


class DependsOnGenes(Honest):
    """Takes the first landmark to be something special."""

    def chosen(self, x, y, validation):
        x = x.copy()
        x[:, 0] *= 0.5
        return super().chosen(x, y, validation)


class ReadsClock(Honest):
    """What it does depends on when."""

    def chosen(self, x, y, validation):
        model = super().chosen(x, y, validation)
        model.bias = model.bias + np.float32(time.monotonic_ns() % 1000 / 5000)
        return model


class DrawingLine(Line):
    random = np.random.default_rng(0)

    def predict(self, landmarks):
        return super().predict(landmarks) + self.random.normal(0, 0.1)


class DrawsPredictions(Honest):
    """Draws its predictions, as dropout does that was left on."""

    model = DrawingLine


class IgnoresSeed(Honest):
    """Says that the seed matters, and it does not."""


class DependsOnSeed(Honest):
    """Says that the seed does not matter, and it does."""

    def fit(self, train, validation_sets, context):
        models = super().fit(train, validation_sets, context)
        for model in models.values():
            model.bias = model.bias + np.float32(context.seed / 10)
        return models


class SqueezedLine(Line):
    def predict(self, landmarks):
        return np.squeeze(super().predict(landmarks))


class SqueezesOne(Honest):
    """One profile gives a vector."""

    model = SqueezedLine


class PickyLine(Line):
    def predict(self, landmarks):
        if not len(landmarks):
            raise ValueError("zero-size array to reduction operation")
        return super().predict(landmarks)


class RefusesNone(Honest):
    """A block of no profiles is an error."""

    model = PickyLine


class TransposedLine(Line):
    def predict(self, landmarks):
        return super().predict(landmarks).T


class Transposed(Honest):
    """Predicts targets × profiles."""

    model = TransposedLine


class NotANumberLine(Line):
    def predict(self, landmarks):
        return np.where(np.abs(landmarks).max(axis=1, keepdims=True) < 10, 1, np.nan) * (
            super().predict(landmarks)
        )


class NotANumber(Honest):
    """Predicts NaN far out."""

    model = NotANumberLine


class LayoutLine(Line):
    def predict(self, landmarks):
        given = landmarks.ravel(order="K").reshape(landmarks.shape)
        return super().predict(given)


class ReadsMemory(Honest):
    """Takes numbers in the order that they lie in memory."""

    model = LayoutLine


class ForgetfulLine(Line):
    def tensors(self):
        return {"weights": self.weights, "bias": np.zeros_like(self.bias)}


class ForgetsBias(Honest):
    """Saves its weights alone."""

    model = ForgetfulLine

    def chosen(self, x, y, validation):
        model = super().chosen(x, y, validation)
        model.bias = model.bias + 0.1
        return model


class LosesValidation(Honest):
    """Gives a model for one validation set only."""

    def fit(self, train, validation_sets, context):
        return dict(list(super().fit(train, validation_sets, context).items())[:1])


class ForgetsParameter(Honest):
    """Declares a parameter, and does not take it."""

    def __init__(self):
        super().__init__()


class RefusesQuietly(Honest):
    """Refuses a value within the bounds that it declared, and does not say which."""

    def __init__(self, depth):
        super().__init__(depth=depth)
        if depth == 9:
            raise ValueError("bad value")


class DividesByParameter(Honest):
    """Takes any number, it says, and means the positive ones."""

    def __init__(self, share):
        super().__init__(share=share)
        self.times = 1 // share


class LooksWordUp(Honest):
    """Takes any word, it says, and knows two."""

    def __init__(self, kernel):
        super().__init__(kernel=kernel)
        self.power = {"linear": 1, "quadratic": 2}[kernel]


class SwallowsInterrupt(Honest):
    """Goes on where it is told to stop."""

    def fit(self, train, validation_sets, context):
        try:
            return super().fit(train, validation_sets, context)
        except BaseException:  # noqa: BLE001  that is what is wrong with it
            x, y = train.landmarks, train.targets
            return {name: self.chosen(x, y, part) for name, part in validation_sets.items()}


class SpoiledByInterrupt(Honest):
    """Takes what it finds in its folder for its own work, finished or not."""

    def fit(self, train, validation_sets, context):
        mark = context.scratch and context.scratch / "begun"
        bias = 1 if mark and mark.exists() else 0
        if mark:
            mark.touch()
        models = super().fit(train, validation_sets, context)
        for model in models.values():
            model.bias = model.bias + np.float32(bias)
        return models


class IgnoresDeadline(Honest):
    """Takes its time."""

    def fit(self, train, validation_sets, context):
        if self.params["minutes"]:
            time.sleep(self.params["minutes"] * 60 * 20)
        return super().fit(train, validation_sets, context)


class NoMethod:
    """Derives from nothing."""

    def __init__(self, **params):
        self.inner = Honest(**params)

    def fit(self, *given):
        return self.inner.fit(*given)

    def restore(self, *given):
        return self.inner.restore(*given)


DECLARED = {
    "IgnoresSeed": {"stochastic": True},
    "ForgetsParameter": {"params": (DEPTH,)},
    "RefusesQuietly": {"params": (DEPTH,)},
    "DividesByParameter": {"params": (Param(name="share", default=2, help="of nothing"),)},
    "LooksWordUp": {"params": (Param(name="kernel", default="linear", help="of nothing"),)},
    "IgnoresDeadline": {"params": (MINUTES,)},
}


def spec_of(name):
    spec = {"title": name, "summary": name} | DECLARED.get(name, {})
    return MethodSpec(name=name.lower(), code=f"{__name__}:{name}", **spec)


@hookimpl
def genebench_methods():
    names = [n for n, c in globals().items() if isinstance(c, type) and c.__module__ == __name__]
    return [spec_of(name) for name in names if not name.endswith("Line")] + [
        MethodSpec(name="mute", title="", summary="of two\nlines", code=f"{__name__}:Honest")
    ]
