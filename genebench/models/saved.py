"""Saved models: they predict in a fresh process, on another device, without the training data.

A safetensors file holds the model's own tensors (``model.…``), what expression is standardised by
(``units.mean``, ``units.std``: landmarks, then targets; no ``std`` where the data came
standardised) and, as JSON in its header, which method
with which parameters made it from which data, and the ids and symbols of its genes. Nothing in it
is code: the method is looked up by name among those installed.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genebench._util.hashing import code_digest
from genebench._util.schema import first_fault
from genebench.data.standardisation import Standardiser
from genebench.errors import UserError, describe
from genebench.method import Context, Model
from genebench.methods.device import resolve_device
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.results.record import Identity
from genebench.results.upgrades import upgraded_identity
from genebench.specs import MethodSpec

if TYPE_CHECKING:
    from genebench.data.profiles import Profiles

MODEL_FORMAT: Literal[2] = 2
_HEADER = "genebench"
_OWN = "model."
Tensors = dict[str, NDArray[Any]]
_MEAN, _STD = "units.mean", "units.std"


class _Genes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: list[str]
    symbols: list[str]
    probes: list[str]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(self.ids) == len(set(self.ids)) == len(self.symbols) == len(self.probes):
            raise ValueError("ids must be unique, with one symbol and one list of probes each")
        return self

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Genes:
        return cls(
            ids=list(table.index), symbols=list(table["symbol"]), probes=list(table["probes"])
        )

    def table(self) -> pd.DataFrame:
        columns = {"symbol": self.symbols, "probes": self.probes}
        return pd.DataFrame(columns, index=pd.Index(self.ids, name="ensembl"), dtype="str")


class _Header(BaseModel):
    """What the file says about its model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2] = Field(description="version of this layout")
    key: str = Field(description="key of the result that the model gave")
    identity: Identity = Field(description="what was run to get it")
    landmarks: _Genes
    targets: _Genes

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, content: Any) -> Any:
        """Read a header of layout 1, which has the identity of an older record."""
        if isinstance(content, dict) and content.get("format") == 1:
            identity = upgraded_identity(content.get("identity"))
            return {**content, "format": MODEL_FORMAT, "identity": identity}
        return content


@dataclass(frozen=True)
class SavedModel:
    """A saved model, opened.

    Attributes:
        model: predicts standardised targets from standardised landmarks.
        identity: the method, its parameters, and the data that it was fitted on.
        landmark_genes, target_genes: tables with ``symbol`` and ``probes``, indexed by Ensembl
            id, in the order of the model's columns.
        tensors: what the model consists of; ``weights`` and ``bias`` of linear ones.
        standardiser: the statistics of the expression that it was fitted on.
        notes: what somebody who uses the model should know.
    """

    model: Model
    identity: Identity
    landmark_genes: pd.DataFrame
    target_genes: pd.DataFrame
    tensors: Mapping[str, NDArray[Any]]
    standardiser: Standardiser
    notes: tuple[str, ...] = ()


def tensors_of(model: Model) -> Tensors:
    """What a model consists of, ready to be saved; nothing when it cannot be.

    Raises:
        ValueError: a tensor is no array of numbers.
    """
    tensors = {name: np.ascontiguousarray(part) for name, part in model.tensors().items()}
    for name, part in tensors.items():
        if part.dtype.kind not in "biuf":
            raise ValueError(f"tensor {name} holds {part.dtype}, not numbers")
    return tensors


def save_model(path: Path, own: Tensors, identity: Identity, key: str, train: Profiles) -> None:
    """Write a model, by its tensors.

    Raises:
        OSError: it cannot be written.
    """
    header = _Header(
        format=MODEL_FORMAT,
        key=key,
        identity=identity,
        landmarks=_Genes.of(train.landmark_genes),
        targets=_Genes.of(train.target_genes),
    )
    named = {f"{_OWN}{name}": part for name, part in own.items()}
    _write(path, named | _statistics(train.standardiser), header)


def _write(path: Path, tensors: dict[str, NDArray[Any]], header: _Header) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(tensors, path, {_HEADER: header.model_dump_json()})
    except SafetensorError as error:
        # The library wraps what the system says; the caller asks for a full disk by its number.
        full = f"code: {errno.ENOSPC}" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def open_model(path: Path | str, device: str = "auto") -> SavedModel:
    """Open a saved model; the plugin of its method must be installed.

    Args:
        path: the file.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.

    Raises:
        UserError: no such file, no saved model, or its method is not installed or cannot
            restore it.
    """
    path = Path(path)
    header, tensors = _read(path)
    own = {name.removeprefix(_OWN): part for name, part in tensors.items() if name.startswith(_OWN)}
    spec = registry().methods.get(header.identity.method)
    context = Context(seed=header.identity.seed, device=resolve_device(device, spec))
    try:
        model = _restored(header, spec, own, context)
        standardiser = _standardiser(header, tensors)
    except Exception as error:  # a plugin's code, on what anybody may have written
        raise UserError(
            f"{path}: {spec.name} cannot restore its model ({describe(error)})"
        ) from error
    return SavedModel(
        model=model,
        identity=header.identity,
        landmark_genes=header.landmarks.table(),
        target_genes=header.targets.table(),
        tensors=own,
        standardiser=standardiser,
        notes=_notes(header, code_digest(spec.code)),
    )


def _restored(
    header: _Header, spec: MethodSpec, own: Mapping[str, NDArray[Any]], context: Context
) -> Model:
    """The model, once it has predicted a profile of zeros as a sound one would."""
    for name, values in own.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    model: Model = load_code(spec.code)(**header.identity.params).restore(own, context)
    landmarks, targets = header.landmarks.ids, header.targets.ids
    predicted = np.asarray(model.predict(np.zeros((1, len(landmarks)), np.float32)))
    if predicted.shape != (1, len(targets)) or not np.isfinite(predicted).all():
        raise ValueError(f"it predicts {predicted.shape} values for {len(targets)} targets")
    return model


def _standardiser(header: _Header, tensors: Mapping[str, NDArray[Any]]) -> Standardiser:
    n_genes = len(header.landmarks.ids) + len(header.targets.ids)
    for name in (_MEAN, _STD):
        values = tensors.get(name, np.zeros(n_genes))
        if values.shape != (n_genes,) or not np.isfinite(values).all():
            raise ValueError(f"{name} is not one number for each of {n_genes} genes")
    return Standardiser(np.asarray(tensors[_MEAN]), tensors.get(_STD))


def _statistics(standardiser: Standardiser) -> dict[str, NDArray[np.float64]]:
    std = {} if standardiser.std is None else {_STD: standardiser.std}
    return {_MEAN: standardiser.mean} | std


def _read(path: Path) -> tuple[_Header, dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(_HEADER)
            if text is None:
                raise UserError(f"{path}: no model that genebench saved")
            header = _Header.model_validate_json(text)
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; genebench run --keep-models saves models") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not a safetensors file, or damaged ({error})") from None
    except ValidationError as error:
        raise UserError(f"{path}: not a model of this version ({first_fault(error)})") from None


def _notes(header: _Header, installed: str) -> tuple[str, ...]:
    code = header.identity.code
    if code.digest == installed:
        return ()
    made = f"{code.distribution} {code.version} made this model"
    return (f"{made}; the code of {header.identity.method} that is installed differs",)
