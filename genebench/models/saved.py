"""Saved models, which predict in a fresh process without the training data.

A safetensors file holds the model's own tensors (``model.…``) and the statistics of expression
(``standardiser.mean``, ``standardiser.std``: landmarks, then targets). There is no
``standardiser.std`` if the data came standardised. The header, as JSON, names method, parameters,
data and genes. The file holds no code: the method is found by name among the installed ones.
"""

from __future__ import annotations

import json
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
from genebench._util.text import encodable
from genebench.data.standardisation import Standardiser
from genebench.errors import UserError, describe
from genebench.method import Context, Model
from genebench.methods.device import resolve_device
from genebench.methods.predictions import predict
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.results.limits import LINE_LETTERS, MODEL_BYTES, cut
from genebench.results.record import LARGEST, Identity
from genebench.results.untrusted import open_limited
from genebench.results.upgrades import upgraded_identity
from genebench.specs import MethodSpec

if TYPE_CHECKING:
    from genebench.data.profiles import Profiles

MODEL_FORMAT: Literal[2] = 2
"""Version of this layout. Layout 1 had the identity of records of formats 1 and 2, and other names
for the statistics of expression."""
_HEADER = "genebench"
_OWN = "model."
"""Prefix of the model's own tensors, so that no name of a plugin meets one of genebench's."""
_MOST_BYTES = 8
"""Bytes of the longest number that the format holds."""
Tensors = dict[str, NDArray[Any]]
_MEAN, _STD = "standardiser.mean", "standardiser.std"
_LAYOUT_1_NAMES = {"units.mean": _MEAN, "units.std": _STD}
"""Name of a tensor in layout 1 → its name in this layout."""


class _Genes(BaseModel):
    """The genes of one role, in the order of the model's columns."""

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
        """Return the genes of a gene table."""
        return cls(
            ids=list(table.index), symbols=list(table["symbol"]), probes=list(table["probes"])
        )

    def table(self) -> pd.DataFrame:
        """Return a gene table, indexed by Ensembl id."""
        columns = {"symbol": self.symbols, "probes": self.probes}
        return pd.DataFrame(columns, index=pd.Index(self.ids, name="ensembl"), dtype="str")


class _Header(BaseModel):
    """The header of the file, which describes the model."""

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
        model: the model, which predicts standardised targets from standardised landmarks.
        identity: method, parameters and data of the fit.
        landmark_genes, target_genes: tables with ``symbol`` and ``probes``, indexed by Ensembl
            id, in the order of the model's columns.
        tensors: tensors of the model. Linear models have ``weights`` and ``bias``.
        standardiser: statistics of the expression that it was fitted on.
        notes: remarks for users of the model.
    """

    model: Model
    identity: Identity
    landmark_genes: pd.DataFrame
    target_genes: pd.DataFrame
    tensors: Mapping[str, NDArray[Any]]
    standardiser: Standardiser
    notes: tuple[str, ...] = ()


def tensors_of(model: Model) -> Tensors:
    """Return the tensors of a model as contiguous arrays. There are none if it cannot be saved.

    Raises:
        ValueError: a tensor has no name that a file can hold, or does not hold numbers of at most
            64 bits.
    """
    tensors = {name: np.ascontiguousarray(part) for name, part in model.tensors().items()}
    for name, part in tensors.items():
        # A plugin may name a tensor by a number.
        if str(name) != name or name != encodable(name):
            raise ValueError(f"tensor {name!r}: its name is not text")
        if part.dtype.kind not in "biuf" or part.dtype.itemsize > _MOST_BYTES:
            raise ValueError(f"tensor {name} holds {part.dtype}, not numbers of at most 64 bits")
    return tensors


def save_model(path: Path, tensors: Tensors, identity: Identity, key: str, train: Profiles) -> None:
    """Write a model.

    Args:
        path: the file.
        tensors: tensors of the model, as :func:`tensors_of` returns them.
        identity: method, parameters and data of the fit.
        key: key of the result that the model gave.
        train: the training profiles, for genes and statistics.

    Raises:
        UserError: the file cannot be written.
    """
    header = _Header(
        format=MODEL_FORMAT,
        key=key,
        identity=identity,
        landmarks=_Genes.of(train.landmark_genes),
        targets=_Genes.of(train.target_genes),
    )
    named = {f"{_OWN}{name}": part for name, part in tensors.items()}
    named[_MEAN] = train.standardiser.mean
    if train.standardiser.std is not None:
        named[_STD] = train.standardiser.std
    _write(path, named, header)


def _write(path: Path, tensors: dict[str, NDArray[Any]], header: _Header) -> None:
    """Write tensors and header."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(tensors, path, {_HEADER: header.model_dump_json()})
    except SafetensorError as error:
        # The library hides the error number of the system. Tensors are checked before, so nothing
        # but the disk is left as a reason.
        raise UserError(
            f"{path.parent}: the model cannot be written ({error}). Free some space, name another "
            "results folder, or run without --keep-models."
        ) from error


def open_model(path: Path | str, device: str = "auto") -> SavedModel:
    """Open a saved model. The plugin of its method must be installed.

    Args:
        path: the file.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises:
        UserError: the file is missing or holds no saved model, or the method is not installed or
            cannot restore the model.
    """
    path = Path(path)
    header, tensors = _read(path)
    of_model = _own(tensors)
    spec = registry().methods.get(header.identity.method)
    context = Context(seed=header.identity.seed, device=resolve_device(device, spec))
    try:
        model = _restored(header, spec, of_model, context)
        standardiser = _standardiser(header, tensors)
    except Exception as error:  # a plugin's code, on what anybody may have written
        raise UserError(
            f"{path}: {spec.name} cannot restore its model ({cut(describe(error), LINE_LETTERS)}). "
            "Install the version of the plugin that made it, or run again with --keep-models."
        ) from error
    return SavedModel(
        model=model,
        identity=header.identity,
        landmark_genes=header.landmarks.table(),
        target_genes=header.targets.table(),
        tensors=of_model,
        standardiser=standardiser,
        notes=_notes(header, code_digest(spec.code)),
    )


def read_model(path: Path) -> tuple[Identity, Tensors]:
    """Return the identity and the own tensors of a saved model. No code of a method is run.

    Raises:
        UserError: the file is missing, or holds no saved model.
    """
    header, tensors = _read(path)
    return header.identity, _own(tensors)


def _own(tensors: Tensors) -> Tensors:
    """Return the tensors that a method gave, under the names that it gave them."""
    return {
        name.removeprefix(_OWN): part for name, part in tensors.items() if name.startswith(_OWN)
    }


def _restored(
    header: _Header, spec: MethodSpec, tensors: Mapping[str, NDArray[Any]], context: Context
) -> Model:
    """Restore the model, and check that it predicts finite targets for a profile of zeros."""
    for name, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    model: Model = load_code(spec.code)(**header.identity.params).restore(tensors, context)
    # Anybody may have written the file: tensors of wrong shapes show on the first prediction.
    profile = np.zeros((1, len(header.landmarks.ids)), np.float32)
    predict(model, profile, len(header.targets.ids))
    return model


def _standardiser(header: _Header, tensors: Mapping[str, NDArray[Any]]) -> Standardiser:
    """Return the statistics of a file, once their shape and values are checked."""
    n_genes = len(header.landmarks.ids) + len(header.targets.ids)
    for name in (_MEAN, _STD):
        values = tensors.get(name, np.zeros(n_genes))
        # No expression comes near this bound, beyond which sums are infinite.
        if values.shape != (n_genes,) or not (np.abs(values) < LARGEST).all():
            raise ValueError(f"{name} is not one number for each of {n_genes} genes")
        if name == _STD and (values < 0).any():
            raise ValueError(f"{name} has negative values, which are no standard deviations")
    return Standardiser(np.asarray(tensors[_MEAN]), tensors.get(_STD))


def _read(path: Path) -> tuple[_Header, dict[str, NDArray[Any]]]:
    """Read header and tensors of a file."""
    from safetensors import SafetensorError, safe_open

    try:
        # The library would wait for ever on a pipe.
        open_limited(path, MODEL_BYTES).close()
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(_HEADER)
            if text is None:
                raise UserError(  # noqa: TRY301  the one fault that nothing below finds
                    f"{path}: genebench did not save this file. Give a model that genebench run "
                    "--keep-models wrote."
                )
            header = _Header.model_validate_json(text)
            # The header is upgraded, so only its text has the layout of the file.
            renamed = _LAYOUT_1_NAMES if json.loads(text)["format"] == 1 else {}
            names = file.keys()
            return header, {renamed.get(name, name): file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file. To save models, run genebench run --keep-models."
        ) from None
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: not a safetensors file, or damaged ({cut(str(error), LINE_LETTERS)}). Give "
            "another file."
        ) from None
    except ValidationError as error:
        raise UserError(
            f"{path}: not a model of this version ({first_fault(error)}). Run again with "
            "--keep-models."
        ) from None
    except UserError:
        raise
    except Exception as error:  # anybody may have written the file
        reason = cut(describe(error), LINE_LETTERS)
        raise UserError(f"{path}: cannot be read ({reason}). Give another file.") from error


def _notes(header: _Header, installed: str) -> tuple[str, ...]:
    """Return a note if the installed code of the method, by its digest, did not make the model."""
    code = header.identity.code
    if code.digest == installed:
        return ()
    note = (
        f"{code.distribution} {code.version} made this model. The installed code of "
        f"{header.identity.method} differs."
    )
    return (note,)
