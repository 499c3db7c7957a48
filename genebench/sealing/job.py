"""The process of a job: it holds the method and its models, and no profile that they are tested on.

It confines itself before any code of the method is imported. Then it answers requests: create the
method, fit it, predict a block of landmarks, report facts and tensors of a model. Test profiles
come block by block, in an order that only the other side knows.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.seeds import seed_everything
from genebench._util.stopping import stop_is_asked
from genebench.confinement.policy import Access, confine
from genebench.data.profiles import Profiles
from genebench.data.standardisation import Standardiser
from genebench.errors import UserError, describe
from genebench.method import Context, Method, Model, NotApplicable
from genebench.methods.predictions import plain, predict
from genebench.plugins.discovery import load_code
from genebench.plugins.files import import_file
from genebench.processes.child import end_process, stop_on_sigterm
from genebench.results.limits import LINE_LETTERS, NAME_LETTERS, cut
from genebench.sealing.wire import Channel
from genebench.specs import values_from_json

LIBRARIES = ("torch", "scipy.linalg", "sklearn", "numba")
"""Libraries whose use is reported, so that the launcher imports them before the next job."""
_PROGRESS_CHARACTERS = 500
"""Most of a message of progress that is sent."""
_TRACEBACK_CHARACTERS = 50_000
"""Most of a traceback that is sent."""

Answer = tuple[dict[str, Any], Mapping[str, NDArray[Any]]]
"""Content and arrays of a response."""


def serve(order: dict[str, Any], connection: socket.socket) -> NoReturn:
    """Answer requests until the other side closes the connection, then end the process.

    Args:
        order: ``access`` (see :class:`Access`), ``environment`` (variables to set), and
            ``landlocked``, whether to use Landlock.
        connection: the connection to the process that scores.
    """
    # A group of its own: it is killed with all that it starts, and the launcher is not.
    os.setsid()
    channel = Channel(connection)
    try:
        _close_others(connection.fileno())
        access = Access(**order["access"])
        _prepare(access, order["environment"])
        seal = confine(access, landlocked=order["landlocked"])
        channel.send({"seal": seal.model_dump()})
        _Server(channel).run()
    except (EOFError, OSError):
        pass  # the other side is gone, and needs no answer
    except BaseException:  # noqa: BLE001  whatever it is, this process ends here
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    end_process()


def _close_others(kept: int) -> None:
    """Close every descriptor but the standard streams and one more.

    The launcher's own connections must not be inherited.
    """
    for entry in list(Path("/dev/fd").iterdir()):
        number = int(entry.name)
        if number > sys.stderr.fileno() and number != kept:
            with suppress(OSError):
                os.close(number)


def _prepare(access: Access, variables: Mapping[str, str]) -> None:
    """Set folders and import path of this process to those of the job."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    stop_on_sigterm()
    # The output is a pipe. Without this, a process that is killed would lose its last lines.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.update(variables)
    tempfile.tempdir = None
    os.chdir(access.write[0])
    sys.path[:] = access.import_path


class _Server:
    """The method of a job, its models, and the answers about them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._method: Method | None = None
        self._models: list[Model] = []
        self._context = Context()

    def run(self) -> None:
        """Answer requests until the other side is gone."""
        answers: dict[str, Callable[[dict[str, Any], dict[str, NDArray[Any]]], Answer]] = {
            "create": self._create, "fit": self._fit, "restore": self._restore,
            "restore_member": self._restore_member,
            "predict": self._predict, "facts": self._facts, "tensors": self._tensors,
        }  # fmt: skip
        while True:
            content, arrays = self._channel.receive()
            try:
                answer = answers[content["request"]](content, arrays)
            except NotApplicable as reason:
                answer = {"not applicable": str(reason)} | _failure(reason), {}
            except UserError as error:
                answer = {"refused": str(error)} | _failure(error), {}
            except BaseException as error:  # noqa: BLE001  a method may raise anything
                answer = _failure(error), {}
            try:
                self._channel.send(*answer)
            except (TypeError, ValueError) as error:  # what the method gave is no number or text
                self._channel.send(_failure(error))

    def _create(self, content: dict[str, Any], _: object) -> Answer:
        """Import the method, and create it with its parameters."""
        code = _imported(content)
        # After the import, which may have been the first to bring in torch. Before the creation,
        # which may draw numbers.
        seed_everything(content["seed"])
        self._method = code(**values_from_json(content["params"]))
        self._context = Context(
            seed=content["seed"], device=content["device"], progress=self._progress,
            scratch=Path(content["scratch"]) if content["scratch"] else None,
            stop_is_asked=stop_is_asked,
        )  # fmt: skip
        return {"created": True}, {}

    def _fit(self, content: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Answer:
        """Fit the method, and return protocol → number of its model."""
        assert self._method is not None
        parts = {
            name: _opened(part, arrays, self._ask(name)) for name, part in content["parts"].items()
        }
        train = parts[content["train"]]
        validation_sets = {name: parts[part] for name, part in content["validation_sets"].items()}
        names = tuple(validation_sets)
        context = self._with_members(content)
        # A method that empties its dictionary takes no protocol away.
        models = self._method.fit(train, validation_sets, context)
        fitted = {name: self._keep(models[name]) for name in names if name in models}
        return {"fitted": fitted, "libraries": [n for n in LIBRARIES if n in sys.modules]}, {}

    def _restore(self, content: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Answer:
        """Restore a saved model from its tensors."""
        assert self._method is not None
        model = self._method.restore(arrays, self._with_members(content))
        return {"restored": self._keep(model)}, {}

    def _restore_member(self, content: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Answer:
        """Restore a saved model of another method, which the job's method is made of."""
        method: Method = _imported(content)(**values_from_json(content["params"]))
        context = Context(seed=content["seed"], device=content["device"])
        return {"restored": self._keep(method.restore(arrays, context))}, {}

    def _with_members(self, content: dict[str, Any]) -> Context:
        """Return the context with the models that the method is made of."""
        members = {
            protocol: {name: self._models[number] for name, number in numbers.items()}
            for protocol, numbers in content["members"].items()
        }
        if members:
            # Their code may have drawn numbers.
            seed_everything(self._context.seed)
        return replace(self._context, members=members)

    def _predict(self, content: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Answer:
        """Predict the targets of a block of landmarks."""
        model = self._models[content["model"]]
        return {}, {"predicted": predict(model, arrays["landmarks"], content["n_targets"])}

    def _facts(self, content: dict[str, Any], _: object) -> Answer:
        """Return what a model states about itself."""
        model = self._models[content["model"]]
        facts = {
            "choices": {name: plain(value) for name, value in model.choices.items()},
            "notes": [str(note) for note in model.notes],
            "curves": {
                name: {
                    column: [float(value) for value in values] for column, values in curve.items()
                }
                for name, curve in model.curves.items()
            },
            "n_parameters": plain(model.n_parameters),
        }
        return facts, {name: np.asarray(values) for name, values in model.per_target.items()}

    def _tensors(self, content: dict[str, Any], _: object) -> Answer:
        """Return the arrays that a model predicts with."""
        return {}, self._models[content["model"]].tensors()

    def _keep(self, model: Model) -> int:
        self._models.append(model)
        return len(self._models) - 1

    def _progress(self, done: int, total: int, message: str) -> None:
        step = [int(done), int(total), str(message)[:_PROGRESS_CHARACTERS]]
        self._channel.send({"progress": step})

    def _ask(self, part: str) -> Callable[[str], dict[str, NDArray[Any]]]:
        """Return a function that asks the other side for something derived from a part."""

        def ask(name: str) -> dict[str, NDArray[Any]]:
            self._channel.send({"derive": name, "part": part})
            return self._channel.receive()[1]

        return ask


def _imported(content: dict[str, Any]) -> Any:
    """Import the code of a method, from its local file if it has one."""
    if content["file"]:
        import_file(Path(content["file"]))
    return load_code(content["code"])


def _opened(
    part: dict[str, Any],
    arrays: dict[str, NDArray[Any]],
    ask: Callable[[str], dict[str, NDArray[Any]]],
) -> Profiles:
    """Open the profiles that a request describes."""
    expression = np.load(part["expression"], mmap_mode="r", allow_pickle=False)
    name = part["name"]
    std, old = arrays.get(f"{name}.std"), arrays.get(f"{name}.old")
    quantiles = None if old is None else (old, arrays[f"{name}.new"])
    return Profiles(
        expression=expression,
        rows=np.arange(len(expression)),
        standardiser=Standardiser(arrays[f"{name}.mean"], std, quantiles),
        profiles=table_of(part["profiles"]),
        landmark_genes=table_of(part["landmark_genes"]),
        target_genes=table_of(part["target_genes"]),
        ask=ask,
    )


def table_of(content: dict[str, Any]) -> pd.DataFrame:
    """Return the table that :func:`content_of` described."""
    index = pd.Index(content["index"], name=content["name"], dtype=content["index_type"])
    columns = {
        name: pd.Series(values, index=index, dtype=dtype)
        for name, (dtype, values) in content["columns"].items()
    }
    return pd.DataFrame(columns, index=index)


def content_of(table: pd.DataFrame) -> dict[str, Any]:
    """Return a profile or gene table as JSON."""
    return {
        "index": table.index.tolist(), "name": table.index.name,
        "index_type": str(table.index.dtype),
        "columns": {
            str(name): [str(column.dtype), column.tolist()] for name, column in table.items()
        },
    }  # fmt: skip


def _failure(error: BaseException) -> dict[str, Any]:
    kind, _, message = describe(error).partition(": ")
    lines = "".join(traceback.format_exception(error))
    return {
        "failed": {
            "kind": cut(kind, NAME_LETTERS),
            "message": cut(message, LINE_LETTERS),
            "traceback": lines[-_TRACEBACK_CHARACTERS:],
        }
    }
