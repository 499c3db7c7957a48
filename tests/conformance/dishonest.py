"""A plugin of methods that each break one rule of the contract, and of two that keep it."""

from __future__ import annotations

import gc
import random
import time

import numpy as np

from genebench import Method, Model, hookimpl
from genebench.data.home import home
from genebench.data.profiles import Profiles
from genebench.relevance import LINEAR_RULES, linear_relevance
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
    """Least squares or ridge regression, chosen on the validation set."""

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
    """Trains on all profiles of the platform, which lie in the file of the training profiles."""

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
    """Trains on the test profiles of GTEx, which it finds in the memory of the process."""

    def fit(self, train, validation_sets, context):
        held = [item for item in gc.get_objects() if type(item) is Profiles]
        tests = [item for item in held if item.profiles.index[0] == "gtex-0"][:1]
        x = np.vstack([train.landmarks, *(test.landmarks for test in tests)])
        y = np.vstack([train.targets, *(test.targets for test in tests)])
        return {name: self.chosen(x, y, part) for name, part in validation_sets.items()}


class LargeBlockLine(Line):
    def predict(self, landmarks):
        mean = landmarks.mean(axis=0) if len(landmarks) > 100 else 0.0
        return super().predict(landmarks - mean)


class AdaptsToLargeBlocks(Honest):
    """Centres each large block of profiles."""

    model = LargeBlockLine


class FirstBlockLine(Line):
    mean = None

    def predict(self, landmarks):
        if self.mean is None:
            self.mean = landmarks.mean(axis=0)
        return super().predict((landmarks - self.mean).astype(np.float32))


class AdaptsToFirstBlock(Honest):
    """Centres all profiles by the mean of the first block."""

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
    """Shifts each gene towards the validation targets, and records the shift as a choice."""

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
    """An honest method that chooses for each target, and records each choice."""

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
    """Fits on the validation profiles, and records a choice that always differs."""

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
    """Scales predictions up, and the more the less they explain."""

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
    """Refuses read-only arrays, because it works in place."""

    def fit(self, train, validation_sets, context):
        if not train.landmarks.flags.writeable:
            raise ValueError("assignment destination is read-only")
        return super().fit(train, validation_sets, context)


class SpoilsGenerator(Honest):
    """Seeds the global generator of numpy."""

    def fit(self, train, validation_sets, context):
        np.random.seed(7)
        return super().fit(train, validation_sets, context)


class SpoilsTorch(Honest):
    """Sets the default dtype of torch."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.set_default_dtype(torch.float64)
        return super().fit(train, validation_sets, context)


class SpoilsPython(Honest):
    """Draws from the global generator of Python."""

    def fit(self, train, validation_sets, context):
        random.random()
        return super().fit(train, validation_sets, context)


class SpoilsTorchGenerator(Honest):
    """Seeds the global generator of torch."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.manual_seed(7)
        return super().fit(train, validation_sets, context)


class SpoilsDevice(Honest):
    """Sets the default device of torch."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.set_default_device("meta")
        return super().fit(train, validation_sets, context)


class SpoilsCudnn(Honest):
    """Sets the benchmark mode of cuDNN."""

    def fit(self, train, validation_sets, context):
        import torch

        torch.backends.cudnn.benchmark = True
        return super().fit(train, validation_sets, context)


class OverflowingLine(Line):
    def predict(self, landmarks):
        np.seterr(over="ignore")
        return super().predict(landmarks)


class SpoilsErrors(Honest):
    """Turns off the warnings of numpy about overflow."""

    model = OverflowingLine


class RowLine(Line):
    def predict(self, landmarks):
        rows = np.arange(len(landmarks), dtype=np.float32)[:, None]
        return super().predict(landmarks) + rows / 100


class DependsOnRows(Honest):
    """Predicts by the position of a profile in its block."""

    model = RowLine


class DependsOnGenes(Honest):
    """Treats the first landmark in another way than the others."""

    def chosen(self, x, y, validation):
        x = x.copy()
        x[:, 0] *= 0.5
        return super().chosen(x, y, validation)


class ReadsClock(Honest):
    """Fits by the clock."""

    def chosen(self, x, y, validation):
        model = super().chosen(x, y, validation)
        model.bias = model.bias + np.float32(time.monotonic_ns() % 1000 / 5000)
        return model


class DrawingLine(Line):
    random = np.random.default_rng(0)

    def predict(self, landmarks):
        return super().predict(landmarks) + self.random.normal(0, 0.1)


class DrawsPredictions(Honest):
    """Draws random numbers to predict, like dropout that was left on."""

    model = DrawingLine


class IgnoresSeed(Honest):
    """Is declared as stochastic, but does not use the seed."""


class DependsOnSeed(Honest):
    """Is declared as deterministic, but uses the seed."""

    def fit(self, train, validation_sets, context):
        models = super().fit(train, validation_sets, context)
        for model in models.values():
            model.bias = model.bias + np.float32(context.seed / 10)
        return models


class SqueezedLine(Line):
    def predict(self, landmarks):
        return np.squeeze(super().predict(landmarks))


class SqueezesOne(Honest):
    """Predicts a vector for a block of one profile."""

    model = SqueezedLine


class PickyLine(Line):
    def predict(self, landmarks):
        if not len(landmarks):
            raise ValueError("zero-size array to reduction operation")
        return super().predict(landmarks)


class RefusesNone(Honest):
    """Raises an error for a block of no profiles."""

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
    """Predicts NaN for landmarks far from zero."""

    model = NotANumberLine


class LayoutLine(Line):
    def predict(self, landmarks):
        misread = landmarks.ravel(order="K").reshape(landmarks.shape)
        return super().predict(misread)


class ReadsMemory(Honest):
    """Reads landmarks in the order of the memory."""

    model = LayoutLine


class ForgetfulLine(Line):
    def tensors(self):
        return {"weights": self.weights, "bias": np.zeros_like(self.bias)}


class ForgetsBias(Honest):
    """Saves its weights, but not its bias."""

    model = ForgetfulLine

    def chosen(self, x, y, validation):
        model = super().chosen(x, y, validation)
        model.bias = model.bias + 0.1
        return model


class LosesValidation(Honest):
    """Returns a model for one validation set only."""

    def fit(self, train, validation_sets, context):
        return dict(list(super().fit(train, validation_sets, context).items())[:1])


class ForgetsParameter(Honest):
    """Declares a parameter, but does not accept it."""

    def __init__(self):
        super().__init__()


class RefusesQuietly(Honest):
    """Refuses a value within its declared bounds, and does not name the parameter."""

    def __init__(self, depth):
        super().__init__(depth=depth)
        if depth == 9:
            raise ValueError("bad value")


class DividesByParameter(Honest):
    """Declares a parameter without bounds, but fails for zero."""

    def __init__(self, share):
        super().__init__(share=share)
        self.times = 1 // share


class LooksWordUp(Honest):
    """Declares a parameter without choices, but accepts two words only."""

    def __init__(self, kernel):
        super().__init__(kernel=kernel)
        self.power = {"linear": 1, "quadratic": 2}[kernel]


class SwallowsInterrupt(Honest):
    """Continues after an interrupt."""

    def fit(self, train, validation_sets, context):
        try:
            return super().fit(train, validation_sets, context)
        except BaseException:  # noqa: BLE001  that is what is wrong with it
            x, y = train.landmarks, train.targets
            return {name: self.chosen(x, y, part) for name, part in validation_sets.items()}


class SpoiledByInterrupt(Honest):
    """Continues from an unfinished checkpoint as if it were finished."""

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
    """Takes twenty times its deadline."""

    def fit(self, train, validation_sets, context):
        if self.params["minutes"]:
            time.sleep(self.params["minutes"] * 60 * 20)
        return super().fit(train, validation_sets, context)


class ExplainedLine(Line):
    relevance_rules = LINEAR_RULES

    def relevance(self, landmarks, weights, rule):
        return linear_relevance(landmarks, self.weights @ weights, float(self.bias @ weights))


class Explained(Honest):
    """Has relevance that is right."""

    model = ExplainedLine


class OwnRuleLine(ExplainedLine):
    relevance_rules = ("own-rule",)


class NamesOwnRule(Honest):
    """Names a rule that no one knows."""

    model = OwnRuleLine


class NoBiasLine(ExplainedLine):
    def relevance(self, landmarks, weights, rule):
        found = super().relevance(landmarks, weights, rule)
        return found._replace(values=found.values * 0.9)


class LosesRelevance(Honest):
    """Loses a tenth of the relevance."""

    model = NoBiasLine


class OtherSumLine(ExplainedLine):
    def relevance(self, landmarks, weights, rule):
        return super().relevance(landmarks, np.abs(weights), rule)


class ExplainsAnotherSum(Honest):
    """Adds up to another sum than that of its predictions."""

    model = OtherSumLine


class RolledLine(ExplainedLine):
    def relevance(self, landmarks, weights, rule):
        found = super().relevance(landmarks, weights, rule)
        return found._replace(values=np.roll(found.values, 3, axis=1))


class MixesLandmarksUp(Honest):
    """Gives the relevance of a landmark to another one. It adds up."""

    model = RolledLine


class CentredLine(ExplainedLine):
    def relevance(self, landmarks, weights, rule):
        found = super().relevance(landmarks, weights, rule)
        mean = found.values.mean(axis=0)
        return found._replace(values=found.values - mean, rest=found.rest + mean.sum())


class ComparesRelevance(Honest):
    """Subtracts the mean of the block from relevance. It adds up."""

    model = CentredLine


class TransposedRelevanceLine(ExplainedLine):
    def relevance(self, landmarks, weights, rule):
        found = super().relevance(landmarks, weights, rule)
        return found._replace(values=found.values.T)


class TransposesRelevance(Honest):
    """Returns landmarks × profiles."""

    model = TransposedRelevanceLine


class NoMethod:
    """A class that does not derive from Method."""

    def __init__(self, **params):
        self.inner = Honest(**params)

    def fit(self, *arguments):
        return self.inner.fit(*arguments)

    def restore(self, *arguments):
        return self.inner.restore(*arguments)


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
        MethodSpec(
            name="unreadable",
            title="u",
            summary="u",
            code=f"{__name__}:Honest",
            equations=r"With $x$: $$\nosuch{x}$$",
        ),
        MethodSpec(name="mute", title="", summary="of two\nlines", code=f"{__name__}:Honest"),
        MethodSpec(
            name="declinesunknown",
            title="d",
            summary="d",
            code=f"{__name__}:Honest",
            not_applicable={"gtexx": "a typing error"},
        ),
    ]
