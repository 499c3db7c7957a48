"""A plugin of methods that break their process, its connection, or what cleans up after it."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import struct
import sys
import threading
import time
from types import MappingProxyType

import numpy as np

from genebench import Method, Model, UserError, hookimpl
from genebench.sealing.wire import Channel
from genebench.specs import MethodSpec

genebench_contract = 1


class Zero(Model):
    def __init__(self, n_targets):
        self.n_targets = n_targets

    def predict(self, landmarks):
        return np.zeros((len(landmarks), self.n_targets), np.float32)


class Breaker(Method):
    """Predicts zero, after it has done its damage."""

    model = Zero

    def fit(self, train, validation_sets, context):
        self.damage(context)
        return dict.fromkeys(validation_sets, self.model(len(train.target_genes)))

    def damage(self, context):
        pass


class BreakerStops(Breaker):
    """Waits until it is asked to stop, as a long training would be."""

    def damage(self, context):
        context.progress(1, 2, "waiting")
        while not context.stop_is_asked():
            time.sleep(0.01)
        (context.scratch / "checkpoint").touch()
        raise KeyboardInterrupt


def channel():
    return next(item for item in gc.get_objects() if type(item) is Channel)


def send(data):
    channel()._connection.sendall(data)


def message(header):
    return struct.pack(">I", len(header)) + header


class SendsGarbage(Breaker):
    def damage(self, context):
        send(b"\0\0\0\5hello" * 10)


class SendsGiantHeader(Breaker):
    def damage(self, context):
        send(b"\xff" * 100)


class SendsDeepHeader(Breaker):
    def damage(self, context):
        send(message(b"[" * 100_000))


class SendsGiantArray(Breaker):
    def damage(self, context):
        send(message(b'{"content": {}, "arrays": [["a", "<f8", [4000000000]]]}'))


class SendsImpossibleArray(Breaker):
    def damage(self, context):
        send(message(b'{"content": {}, "arrays": [["a", "<f8", [0, 99999999999999999999]]]}'))


class SendsManyTypes(Breaker):
    def damage(self, context):
        send(message(b'{"content": [], "arrays": 7}'))


class SendsNoModels(Breaker):
    def damage(self, context):
        channel().send({"fitted": 7})


class AnswersAhead(Breaker):
    """Answers requests that were not made yet."""

    def damage(self, context):
        for _ in range(3):
            channel().send({"fitted": {"geo": 0, "gtex": 0}, "libraries": ["os", 7]})


class Floods(Breaker):
    def damage(self, context):
        for number in range(3000):
            context.progress(number, 3000, "x" * 100_000)


class PromisesMore(Breaker):
    """Sends half of a message, and ends."""

    def damage(self, context):
        send(struct.pack(">I", 1000) + b"{")
        os._exit(0)


class Exits(Breaker):
    def damage(self, context):
        sys.stdout.write("the last words\n")
        os._exit(3)


class Dies(Breaker):
    def damage(self, context):
        sys.stdout.write("the last words\n")
        os.kill(os.getpid(), signal.SIGKILL)


class ClosesAll(Breaker):
    def damage(self, context):
        os.closerange(0, 1000)


class RefusesLate(Breaker):
    def damage(self, context):
        raise UserError("the data are not to its liking")


class Refuses(Breaker):
    def __init__(self, **params):
        super().__init__(**params)
        raise UserError("other parameters, please")


class RaisesALot(Breaker):
    def damage(self, context):
        raise ValueError("long " * 1_000_000)


class NonsenseZero(Zero):
    choices = MappingProxyType({"what": object()})


class StatesNonsense(Breaker):
    model = NonsenseZero


class CurveLine(Zero):
    curves = MappingProxyType({"learning": {"mae": range(3_000_000)}})


class StatesTooMuch(Breaker):
    model = CurveLine


class WideLine(Zero):
    def predict(self, landmarks):
        return np.zeros((len(landmarks), self.n_targets + 1), np.float32)


class PredictsTooMuch(Breaker):
    model = WideLine


class LeavesADaemon(Breaker):
    """Leaves a grandchild in a session of its own, which writes after the end of the job."""

    def damage(self, context):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3)
                (context.scratch / "late").touch()
            os._exit(0)
        os.wait()
        for _ in range(20):
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)


class LeavesThreads(Breaker):
    def damage(self, context):
        threading.Thread(target=time.sleep, args=(600,)).start()


class BlocksNoOutput(Breaker):
    """Makes its output not wait, which must not be the mode of the next job's output."""

    def damage(self, context):
        for number in (1, 2):
            fcntl.fcntl(number, fcntl.F_SETFL, os.O_NONBLOCK)


class PrintsALot(Breaker):
    def damage(self, context):
        for _ in range(100):
            os.write(1, b"x" * 100_000)
        os.write(1, b"\n\x1b[2J" + b"y" * 10_000)


class NestsFolders(Breaker):
    """Nests folders so deeply that no path leads to the last."""

    def damage(self, context):
        for folder in (context.scratch, os.environ["TMPDIR"]):
            os.chdir(folder)
            for _ in range(1100):
                os.mkdir("folder")
                os.chdir("folder")


class LinksOut(Breaker):
    """Plants links to what is not its own, for the process that cleans up to follow."""

    def damage(self, context):
        for folder in (context.scratch, context.scratch / "inner"):
            folder.mkdir(exist_ok=True)
            (folder / "rival").symlink_to(context.scratch.parent / "rival.json")
            (folder / "folder").symlink_to(context.scratch.parent)
        (context.scratch / "inner").chmod(0)


LOADED_BEFORE = {
    "numba": "numba" in sys.modules,
    "plugin": any("planted by a method" in vars(module) for module in list(sys.modules.values())),
}
"""Modules of this process when this one was imported."""


class Imports(Breaker):
    """Imports a library, and leaves a mark in it."""

    def fit(self, train, validation_sets, context):
        import numba

        vars(numba)["planted by a method"] = True
        models = super().fit(train, validation_sets, context)
        for model in models.values():
            model.choices = {**LOADED_BEFORE, "after": "numba" in sys.modules}
        return models


BREAKERS = {
    item.__name__.lower(): item
    for item in list(globals().values())
    if isinstance(item, type) and issubclass(item, Breaker)
}


@hookimpl
def genebench_methods():
    return [
        MethodSpec(name=name, title=name, summary=name, code=f"{__name__}:{item.__name__}")
        for name, item in BREAKERS.items()
    ]
