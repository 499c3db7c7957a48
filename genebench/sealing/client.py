"""The side of a sealed job that scores: it starts the job's process, and stands in for its method.

No code of the method is imported here. :class:`SealedMethod` and :class:`SealedModel` have the
interface of a method and a model, and pass every call on.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Event as Flag
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from genebench._util.files import remove_tree, sweep, temporary_folder, user_errors
from genebench._util.progress import Progress, silent
from genebench._util.stopping import passed_on
from genebench._util.subprocesses import import_path
from genebench._util.text import Escaped, encodable
from genebench.confinement.policy import Access, capability, environment
from genebench.data.home import home
from genebench.data.profiles import Profiles
from genebench.errors import UserError
from genebench.method import Context, Method, Model, NotApplicable
from genebench.methods.moments import DERIVED, moments, tensors_of
from genebench.models.saved import Saved
from genebench.plugins.registry import registry
from genebench.processes.worker import MAX_TAIL_LINES, Worker, ending, last_words
from genebench.results.limits import LINE_LETTERS, NAME_LETTERS, TEXT_LETTERS, cut, cut_middle
from genebench.results.record import Failure, Seal
from genebench.sealing.failure import SealedFailureError
from genebench.sealing.job import LIBRARIES, content_of
from genebench.sealing.wire import MAX_ARRAY_BYTES, BrokenMessageError, Channel
from genebench.specs import MethodSpec, values_from_json

_TEMPORARY = "genebench-job-"
"""Beginning of the names of the jobs' temporary folders."""
_NO_MODELS = "its process sent no models"
_MAX_ANSWER_BYTES = 16 << 20
"""Bytes that the header of an answer may have: curves of a million numbers. A process that sends
more must not fill the memory of this one."""
_MAX_FACTS_BYTES = 64 << 20
"""Bytes that the numbers per target of a model may have: 800 of them for 9,520 targets."""
_MAX_LINE_BYTES = 2000
"""Bytes of a line of output that are kept."""
_DEATH_SECONDS = 1.0
"""Longest wait for the end of a process whose connection has ended, to learn how it ended."""
_ANSWER_SECONDS = 30
"""Longest wait for the launcher to end a process. A process in state D may not end."""


@dataclass(frozen=True)
class SealedJob:
    """What a job's process is started for.

    Attributes:
        method: the method.
        params: its parameters in effect.
        seed: seed of all random numbers.
        device: ``cpu`` or ``cuda``.
        n_targets: number of target genes.
        parts: name → profiles that the method is given. Their files become readable.
        scratch: folder for checkpoints, or None.
        forbidden: folders that must stay out of reach.
        members: methods that the method is made of. Their code runs in the process as well.
    """

    method: MethodSpec
    params: Mapping[str, Any]
    seed: int
    device: str
    n_targets: int
    parts: Mapping[str, Profiles] = field(default_factory=dict)
    scratch: Path | None = None
    forbidden: tuple[Path, ...] = ()
    members: Sequence[MethodSpec] = ()


@contextmanager
def sealed(job: SealedJob) -> Iterator[SealedMethod]:
    """Provide a method that lives in its own process. The process is ended with the block.

    Raises:
        UserError: the method refuses its parameters, or the files of its profiles cannot be
            written.
        SealedFailureError: the method cannot be imported or created.
    """
    with user_errors(home(), "Set GENEBENCH_HOME to another folder."):
        files = {name: part.own_file() for name, part in job.parts.items()}
    launcher = _ready_launcher()
    process: JobProcess | None = None
    folder = Path(tempfile.gettempdir())
    # Those of processes that were killed.
    sweep(folder, f"{_TEMPORARY}*.tmp")
    with temporary_folder(folder, _TEMPORARY) as temporary:
        try:
            process = JobProcess(launcher, _order(job, files, temporary))
            method = SealedMethod(process, job, files)
            method.create()
            yield method
        finally:
            if process is not None:
                process.end()
            remove_tree(temporary)
            if launcher.is_alive():
                launcher.preload(() if process is None else process.libraries)
                _idle.append(launcher)
            else:
                launcher.stop()


def _ready_launcher() -> Launcher:
    while _idle:
        launcher = _idle.pop()
        if launcher.is_alive():
            return launcher
        launcher.stop()  # it was killed while it waited
    return Launcher()


def close_launchers() -> None:
    """End the launchers of this process that serve no job."""
    while _idle:
        _idle.pop().stop()


_idle: list[Launcher] = []
"""Launchers that serve no job, ready for the next."""

atexit.register(close_launchers)


def _order(job: SealedJob, files: Mapping[str, Path], temporary: Path) -> dict[str, Any]:
    """Return the order of a job's process: what it may reach, and its environment."""
    scratch = [] if job.scratch is None else [job.scratch]
    code = [path for method in (job.method, *job.members) for path in _code_of(method)]
    access = Access(
        import_path=import_path().split(os.pathsep),
        read=[str(path) for path in (*files.values(), *code)],
        # Absolute, because the job has another working directory.
        write=[str(path.absolute()) for path in (temporary, *scratch)],
        forbidden=[str(path.absolute()) for path in job.forbidden],
    )
    folders = (
        "HOME", "TMPDIR", "GENEBENCH_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
        "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR",
    )  # fmt: skip
    return {
        "access": asdict(access),
        "environment": dict.fromkeys(folders, str(temporary)),
        "landlocked": capability().level == "landlock",
    }


def _code_of(method: MethodSpec) -> Iterator[Path]:
    """Yield files and folders with the code of a method, and of genebench itself.

    An editable install may lie in a folder that is no entry of the import path.
    """
    plugin = registry().methods.plugins[method.name]
    if plugin.file:
        yield plugin.file
    for package in ("genebench", method.code.partition(":")[0].partition(".")[0]):
        spec = None if plugin.file and package == plugin.file.stem else find_spec(package)
        if spec is not None:
            yield from map(Path, spec.submodule_search_locations or filter(None, [spec.origin]))


class Launcher:
    """The launcher of jobs' processes, which runs in a supervised subprocess."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        order = json.dumps({"commands": theirs.fileno()}).encode()
        self._commands = ours
        self._output = _Output()
        self._worker = Worker(
            order, "genebench.sealing.launcher",
            environment=environment(), pass_fds=(theirs.fileno(),), relay=self._output.add,
        )  # fmt: skip
        theirs.close()
        self._loaded: set[str] = set()

    def is_alive(self) -> bool:
        """Return whether the launcher can start further processes."""
        return not self._worker.has_ended()

    def start(self, order: Mapping[str, Any], connection: socket.socket) -> int:
        """Start the process of a job, and return its id."""
        self._output.start()
        line = json.dumps({"start": order}).encode() + b"\n"
        # No limit: the launcher may still import libraries, which takes a minute on a slow disk.
        self._commands.settimeout(None)
        socket.send_fds(self._commands, [line], [connection.fileno()])
        return int(self._answer()["started"])

    def end(self, *, patience: float = 0.0) -> tuple[str, int]:
        """End the process of a job, and return how it ended, and its peak memory in bytes.

        Args:
            patience: seconds to wait for a process to end by itself.
        """
        mark = secrets.token_hex()
        self._output.mark = mark.encode()
        self._commands.settimeout(_ANSWER_SECONDS)
        try:
            self._commands.sendall(json.dumps({"end": mark, "patience": patience}).encode() + b"\n")
            answer = self._answer()
        except OSError:
            self.stop()
            return "was lost: its launcher has ended", 0
        self._output.finish()
        # macOS counts bytes, all other systems kibibytes.
        unit = 1 if sys.platform == "darwin" else 1024
        by_itself = "closed its connection" if answer["killed"] else ending(int(answer["ended"]))
        return by_itself, int(answer["peak"]) * unit

    def preload(self, libraries: tuple[str, ...]) -> None:
        """Import libraries that the last job used, so that the next starts with them."""
        new = [name for name in libraries if name in LIBRARIES and name not in self._loaded]
        # Only Linux: on macOS, libraries may not be used after a fork.
        if new and sys.platform == "linux":
            self._loaded |= set(new)
            with suppress(OSError):
                self._commands.sendall(json.dumps({"preload": new}).encode() + b"\n")

    def failure(self, kind: str, message: str) -> Failure:
        """Return a failure with the last output of the job in place of a traceback."""
        return last_words(kind, message, self._output.lines)

    def stop(self) -> None:
        """End the launcher, and all below it."""
        self._commands.close()
        self._worker.stop()

    def _answer(self) -> dict[str, Any]:
        received = b""
        while not received.endswith(b"\n"):
            data = self._commands.recv(4096)
            if not data:
                raise ConnectionResetError("the launcher has ended")
            received += data
        answer: dict[str, Any] = json.loads(received)
        return answer


class _Output:
    """The output of the jobs of a launcher: shown on standard error, its last lines kept."""

    def __init__(self) -> None:
        self.lines: deque[bytes] = deque(maxlen=MAX_TAIL_LINES)
        self.mark = b""
        self._unfinished = b""
        self._marked = Flag()
        self._shown = Escaped(None)

    def start(self) -> None:
        """Begin anew, for the next job."""
        self.lines.clear()
        self._unfinished, self.mark = b"", b""
        self._marked.clear()
        self._shown = Escaped(sys.stderr)

    def add(self, data: bytes) -> None:
        """Show complete lines. A thread calls this."""
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        # Output without line ends must not fill the memory.
        self._unfinished = self._unfinished[-_MAX_LINE_BYTES:]
        for line in lines:
            if self.mark and line == self.mark:
                self._marked.set()
            elif line:
                self.lines.append(line[:_MAX_LINE_BYTES])
                self._shown.write(line.decode("utf-8", "replace") + "\n")

    def finish(self) -> None:
        """Wait until all output of the job has arrived."""
        self._marked.wait(_ANSWER_SECONDS)
        self._shown.finish()


class JobProcess:
    """The process of a job, and the requests to it."""

    def __init__(self, launcher: Launcher, order: Mapping[str, Any]) -> None:
        self._launcher = launcher
        self._peak = 0
        self._ended: Failure | None = None
        self.libraries: tuple[str, ...] = ()
        ours, theirs = socket.socketpair()
        try:
            self._pid = launcher.start(order, theirs)
        finally:
            theirs.close()
        self._channel = Channel(ours)
        # The first message comes before any code of the method is imported.
        self.seal = Seal.model_validate(self._receive()[0]["seal"])

    def ask(
        self,
        request: str,
        content: Mapping[str, Any] | None = None,
        arrays: Mapping[str, NDArray[Any]] | None = None,
        *,
        limit: int = 0,
        progress: Progress = silent,
        derive: Callable[[str, str], Mapping[str, NDArray[Any]]] | None = None,
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Make a request, and return the content and the arrays of the answer.

        Args:
            request: name of the request.
            content: its content.
            arrays: its arrays.
            limit: bytes that the arrays of the answer may have. By default there may be none.
            progress: called for each step that the method reports.
            derive: function that derives arrays from a part, given the names of both.

        Raises:
            SealedFailureError: the method failed, or the process died.
            UserError: the method refuses its parameters.
            NotApplicable: the method cannot do the data or the protocol.
        """
        try:
            self._channel.send({"request": request, **(content or {})}, arrays)
        except OSError:
            raise SealedFailureError(self._death()) from None
        while True:
            answer, received = self._receive(limit)
            match answer:
                case {"progress": [int(done), int(total), str(message)]}:
                    progress(done, total, message)
                case {"derive": str(name), "part": str(part)} if derive:
                    self._channel.send({}, derive(name, part))
                case {"refused": str(message)} if request == "create":
                    raise UserError(cut(message, LINE_LETTERS))
                # A model must not choose by test profiles. From it, this is a failure.
                case {"not applicable": str(reason)} if request in {"create", "fit"}:
                    raise NotApplicable(cut(encodable(reason), LINE_LETTERS))
                case {"failed": dict(failure)}:
                    raise SealedFailureError(_checked_failure(failure))
                case _:
                    return answer, received

    def peak_memory(self) -> int:
        """Return the most memory that the process has held so far, in bytes."""
        if self._ended is None:
            with suppress(OSError, IndexError, ValueError):
                status = Path(f"/proc/{self._pid}/status").read_text()
                kibibytes = status.partition("VmHWM:")[2].split()[0]
                self._peak = max(self._peak, int(kibibytes) * 1024)
        return self._peak

    def ask_to_stop(self) -> None:
        """Ask the method to stop. Its process may have ended already."""
        with suppress(OSError):
            os.kill(self._pid, signal.SIGTERM)

    def end(self) -> None:
        """End the process and all that it started."""
        if self._ended is None:
            self._death(patience=0)
        self._channel.close()

    def _receive(self, limit: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            return self._channel.receive(limit, _MAX_ANSWER_BYTES)
        except BrokenMessageError as error:
            message = f"its process sent {error}, not an answer"
            raise SealedFailureError(self._launcher.failure("BrokenMessage", message)) from None
        except (EOFError, OSError):
            raise SealedFailureError(self._death()) from None

    def _death(self, *, patience: float = _DEATH_SECONDS) -> Failure:
        """End the process, and return how it ended."""
        if self._ended is None:
            self.peak_memory()
            how, peak = self._launcher.end(patience=patience)
            self._peak = max(self._peak, peak)
            self._ended = self._launcher.failure("ProcessDied", f"its process {how}")
        return self._ended


def _checked_failure(content: dict[str, Any]) -> Failure:
    try:
        # The method can send anything, of any length.
        return Failure(
            kind=cut(encodable(content["kind"]), NAME_LETTERS),
            message=cut(encodable(content["message"]), LINE_LETTERS),
            traceback=cut_middle(encodable(content["traceback"]), TEXT_LETTERS),
        )
    except (KeyError, TypeError, AttributeError, ValidationError):
        return Failure(kind="BrokenMessage", message="its process sent no failure", traceback="")


class SealedMethod(Method):
    """A method that lives in another process.

    Attributes:
        process: the process.
    """

    def __init__(self, process: JobProcess, job: SealedJob, files: Mapping[str, Path]) -> None:
        super().__init__(**job.params)
        self.process = process
        self._job = job
        self._files = files

    def create(self) -> None:
        """Import the method there, and create it with its parameters.

        Raises:
            UserError: it refuses its parameters.
            SealedFailureError: it cannot be imported or created.
        """
        job = self._job
        self.process.ask(
            "create",
            _creation(job.method, job.params, job.seed, job.device)
            | {"scratch": str(job.scratch.absolute()) if job.scratch else ""},
        )

    def restore_member(self, saved: Saved, device: str) -> SealedModel:
        """Restore there the saved model of a method that this one is made of.

        Args:
            saved: the saved model. Its method is among the members of the job.
            device: ``cpu`` or ``cuda``.

        Raises:
            SealedFailureError: its method cannot restore it.
        """
        [spec] = [spec for spec in self._job.members if spec.name == saved.identity.method]
        creation = _creation(spec, saved.identity.params, saved.identity.seed, device)
        answer, _ = self.process.ask("restore_member", creation, saved.tensors)
        return self._model(answer.get("restored"))

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> dict[str, Model]:
        """Fit the method there. The profiles must be parts of the job."""
        names = {id(part): name for name, part in self._job.parts.items()}
        content = {
            "parts": {
                name: self._description(name, part) for name, part in self._job.parts.items()
            },
            "train": names[id(train)],
            "validation_sets": {name: names[id(part)] for name, part in validation_sets.items()},
            "members": _numbers(context),
        }
        arrays: dict[str, NDArray[Any]] = {}
        for name, part in self._job.parts.items():
            arrays |= _statistics(name, part)

        def derive(name: str, part: str) -> dict[str, NDArray[Any]]:
            if name != DERIVED or part not in self._job.parts:
                return {}
            # On the device of the job, whatever the method asks for: others share this cache.
            return tensors_of(
                moments(self._job.parts[part], context.progress, device=self._job.device)
            )

        with passed_on(self.process.ask_to_stop):
            answer, _ = self.process.ask(
                "fit", content, arrays, progress=context.progress, derive=derive
            )
        match answer:
            case {"fitted": dict(fitted), "libraries": list(libraries)}:
                self.process.libraries = tuple(map(str, libraries))
            case _:
                raise SealedFailureError(
                    Failure(kind="BrokenMessage", message=_NO_MODELS, traceback="")
                )
        # One object may serve several validation sets, but here each gets its own stand-in.
        return {name: self._model(fitted[name]) for name in validation_sets if name in fitted}

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> SealedModel:
        """Restore a saved model there. Members in the context must live there, too."""
        answer, _ = self.process.ask("restore", {"members": _numbers(context)}, tensors)
        return self._model(answer.get("restored"))

    def _model(self, number: object) -> SealedModel:
        return SealedModel(self.process, number, self._job.n_targets)

    def _description(self, name: str, part: Profiles) -> dict[str, Any]:
        return {
            "name": name, "expression": str(self._files[name]),
            "profiles": content_of(part.profiles),
            "landmark_genes": content_of(part.landmark_genes),
            "target_genes": content_of(part.target_genes),
        }  # fmt: skip


def _creation(
    spec: MethodSpec, params: Mapping[str, Any], seed: int, device: str
) -> dict[str, Any]:
    """Return what a method is created from."""
    plugin = registry().methods.plugins[spec.name]
    return {
        "code": spec.code, "file": str(plugin.file) if plugin.file else "",
        "params": dict(params), "seed": seed, "device": device,
    }  # fmt: skip


def _numbers(context: Context) -> dict[str, dict[str, object]]:
    """Return protocol → method → number of its model in the process of the job."""
    return {
        protocol: {
            name: model.number for name, model in members.items() if isinstance(model, SealedModel)
        }
        for protocol, members in context.members.items()
    }


def _statistics(name: str, part: Profiles) -> dict[str, NDArray[Any]]:
    """Return the statistics that standardise a part, by name."""
    standardiser = part.standardiser
    arrays: dict[str, NDArray[Any]] = {f"{name}.mean": standardiser.mean}
    if standardiser.std is not None:
        arrays[f"{name}.std"] = standardiser.std
    if standardiser.quantiles is not None:
        arrays[f"{name}.old"], arrays[f"{name}.new"] = standardiser.quantiles
    return arrays


class SealedModel(Model):
    """A model that lives in another process.

    Attributes:
        number: its number there.
    """

    def __init__(self, process: JobProcess, number: object, n_targets: int) -> None:
        self.number = number
        self._process = process
        self._request = {"model": number, "n_targets": n_targets}
        self._n_targets = n_targets

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Return predicted targets, profiles × targets, of a block of landmarks."""
        limit = len(landmarks) * self._n_targets * landmarks.itemsize
        _, arrays = self._process.ask(
            "predict", self._request, {"landmarks": landmarks}, limit=limit
        )
        return arrays.get("predicted", np.empty((0, 0), np.float32))

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays that the model predicts with."""
        return self._process.ask("tensors", self._request, limit=MAX_ARRAY_BYTES)[1]

    def read_facts(self) -> None:
        """Read what the model states about itself: choices, notes, curves and others."""
        facts, arrays = self._process.ask("facts", self._request, limit=_MAX_FACTS_BYTES)
        self.choices = values_from_json(facts.get("choices", {}))
        self.curves = facts.get("curves", {})
        self.notes = tuple(facts.get("notes", ()))
        self.n_parameters = facts.get("n_parameters")
        self.per_target = arrays
