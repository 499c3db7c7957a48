"""Saved models, which predict in a fresh process without the training data.

A safetensors file holds the model's own tensors (``model.…``) and the statistics of expression
(``standardiser.mean``, ``standardiser.std``: landmarks, then targets), with their quantiles
(``standardiser.quantiles`` and others). There are only means if the data came standardised. A model
that is made of others holds their tensors as well (``member/NAME/…``). The header, as JSON, names
method, parameters, data and genes. The file holds no code: the method is found by name among the
installed ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genebench._util.hashing import code_digest, key_of
from genebench._util.schema import first_fault
from genebench._util.text import encodable
from genebench.data.standardisation import Standardiser
from genebench.errors import UserError, describe
from genebench.method import Context, Model
from genebench.methods.device import resolve_device
from genebench.methods.predictions import predict
from genebench.models.quantiles import Quantiles
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
_MEMBER = "member/{}/"
"""Prefix of the tensors of a member. No name of a method has a slash."""
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
    members: dict[str, Identity] = Field(
        default={},
        exclude_if=lambda members: not members,
        description="method that the model is made of → what was run to get its model",
    )

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        keys = {name: key_of(identity.model_dump()) for name, identity in self.members.items()}
        if keys != {name: member.key for name, member in self.identity.members.items()}:
            raise ValueError("its members are not those of its identity")
        return self

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, content: Any) -> Any:
        """Read a header of layout 1, which has the identity of an older record."""
        if isinstance(content, dict) and content.get("format") == 1:
            identity = upgraded_identity(content.get("identity"))
            return {**content, "format": MODEL_FORMAT, "identity": identity}
        return content


@dataclass(frozen=True, repr=False)
class SavedModel:
    """A saved model, opened.

    Attributes:
        model: the model, which predicts standardised targets from standardised landmarks.
        identity: method, parameters and data of the fit.
        landmark_genes, target_genes: tables with ``symbol`` and ``probes``, indexed by Ensembl
            id, in the order of the model's columns.
        tensors: tensors of the model. Linear models have ``weights`` and ``bias``.
        standardiser: statistics of the expression that it was fitted on.
        quantiles: level of this expression. None if the data came standardised, or if an earlier
            version saved the model.
        notes: remarks for users of the model.
    """

    model: Model
    identity: Identity
    landmark_genes: pd.DataFrame
    target_genes: pd.DataFrame
    tensors: Mapping[str, NDArray[Any]]
    standardiser: Standardiser
    quantiles: Quantiles | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        sizes = f"{len(self.landmark_genes)} landmarks to {len(self.target_genes)} targets"
        return f"<SavedModel {self.identity.method} of {self.identity.protocol}: {sizes}>"


class Saved(NamedTuple):
    """The content of a saved model that its method is needed for."""

    identity: Identity
    """Method, parameters and data of the fit."""
    tensors: Tensors
    """Tensors of the model, under the names that the method gave them."""
    members: Mapping[str, Saved] = {}
    """Method → its saved model, for a model that is made of others."""


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


def save_model(path: Path, saved: Saved, key: str, train: Profiles) -> None:
    """Write a model.

    Args:
        path: the file.
        saved: the model. Its tensors are those of :func:`tensors_of`.
        key: key of the result that the model gave.
        train: the training profiles, for genes and statistics.

    Raises:
        UserError: the file cannot be written.
    """
    header = _Header(
        format=MODEL_FORMAT,
        key=key,
        identity=saved.identity,
        landmarks=_Genes.of(train.landmark_genes),
        targets=_Genes.of(train.target_genes),
        members={name: member.identity for name, member in saved.members.items()},
    )
    named = _named(_OWN, saved.tensors)
    for name, member in saved.members.items():
        named |= _named(_MEMBER.format(name), member.tensors)
    named[_MEAN] = train.standardiser.mean
    if train.standardiser.std is not None:
        named[_STD] = train.standardiser.std
        named |= Quantiles.of(train).tensors()
    _write(path, named, header)


def _named(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": part for name, part in tensors.items()}


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
    saved = _saved(header, tensors)
    methods = registry().methods
    spec = methods.get(header.identity.method)
    devices = {name: resolve_device(device, methods.get(name)) for name in header.members}
    chosen = resolve_device(device, spec)
    try:
        members = {
            name: restored(methods.get(name), member, devices[name])
            for name, member in saved.members.items()
        }
        model = restored(spec, saved, chosen, members)
        # Anybody may have written the file: tensors of wrong shapes show on the first prediction.
        profile = np.zeros((1, len(header.landmarks.ids)), np.float32)
        predict(model, profile, len(header.targets.ids))
        standardiser = _standardiser(header, tensors)
        quantiles = Quantiles.from_tensors(
            tensors, len(header.landmarks.ids), len(standardiser.mean)
        )
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
        tensors=saved.tensors,
        standardiser=standardiser,
        quantiles=quantiles,
        notes=tuple(chain(_notes(saved), *map(_notes, saved.members.values()))),
    )


def read_model(path: Path) -> Saved:
    """Return the content of a saved model. No code of a method is run.

    Raises:
        UserError: the file is missing, or holds no saved model.
    """
    return _saved(*_read(path))


def _saved(header: _Header, tensors: Tensors) -> Saved:
    """Return the tensors that methods gave, under the names that they gave them."""

    def with_prefix(prefix: str) -> Tensors:
        return {
            name.removeprefix(prefix): part
            for name, part in tensors.items()
            if name.startswith(prefix)
        }

    members = {
        name: Saved(identity, with_prefix(_MEMBER.format(name)))
        for name, identity in header.members.items()
    }
    return Saved(header.identity, with_prefix(_OWN), members)


def restored(
    spec: MethodSpec, saved: Saved, device: str, members: Mapping[str, Model] | None = None
) -> Model:
    """Restore a model by the code of its method.

    Args:
        spec: the method.
        saved: the content of the file.
        device: ``cpu`` or ``cuda``, and a device of the method.
        members: method → restored model, if the model is made of others.

    Raises:
        ValueError: a tensor holds NaN or infinite values.
        Exception: any exception of the method.
    """
    for name, values in saved.tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    identity = saved.identity
    context = Context(
        seed=identity.seed,
        device=device,
        members={identity.protocol: members} if members else {},
    )
    model: Model = load_code(spec.code)(**identity.params).restore(saved.tensors, context)
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


def _notes(saved: Saved) -> tuple[str, ...]:
    """Return a note if another code than the installed one made the model."""
    code, method = saved.identity.code, saved.identity.method
    if code.digest == code_digest(registry().methods.get(method).code):
        return ()
    note = (
        f"{code.distribution} {code.version} made this model. The installed code of {method} "
        "differs."
    )
    return (note,)
