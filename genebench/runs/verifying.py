"""Predictions made again from a saved model, to verify a record."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genebench._util.files import full_disk
from genebench._util.hashing import code_digest
from genebench.data.home import home
from genebench.data.store import Dataset
from genebench.errors import UserError
from genebench.method import Context
from genebench.models.saved import read_model
from genebench.plugins.registry import registry
from genebench.results.record import Identity, Record
from genebench.runs.failures import MethodFailedError, method_code
from genebench.runs.predicting import prediction_order, write_predictions
from genebench.runs.provenance import Stopwatch
from genebench.runs.seals import as_stated, is_sealed
from genebench.sealing.client import SealedJob, sealed


def predict_again(record: Record, path: Path, dataset: Dataset) -> NDArray[np.float32]:
    """Predict the test profiles of a record from its saved model, in a sealed process.

    Args:
        record: a done record.
        path: its saved model.
        dataset: its dataset.

    Returns:
        Profiles × targets, standardised, in the order of the dataset. A memory map.

    Raises:
        UserError: the method is not installed or another by now, cannot be sealed here, or cannot
            restore the model.
    """
    identity = record.identity
    spec = registry().methods.get(identity.method)
    _check_code(path, identity)
    # Tensors of a stranger, and code that may be the stranger's as well.
    is_sealed([spec.name], "require")
    protocol = registry().protocols.get(identity.protocol)
    test = dataset.profiles((protocol.trial() if identity.is_trial else protocol).test)
    saved = read_model(path)
    if saved.identity != identity:
        raise UserError(f"{path}: this is the model of another result. Remove the record.")
    for member in saved.members.values():
        _check_code(path, member.identity)
    job = SealedJob(
        method=spec, params=identity.params, seed=identity.seed, device="cpu",
        n_targets=len(test.target_genes), forbidden=(path.parent, home()),
        members=[registry().methods.get(name) for name in saved.members],
    )  # fmt: skip
    order = prediction_order(test)
    with tempfile.TemporaryDirectory(prefix="genebench-verify-") as folder:
        out = Path(folder, "predictions.npy")
        try:
            with method_code(UserError, OSError), sealed(job) as method:
                seal = as_stated(method.process.seal, [spec.name, *saved.members])
                if seal.level != "landlock":
                    raise UserError(
                        f"{path}: {spec.name} cannot be confined here ({seal.reason}), so that "
                        "its predictions would prove nothing. Use another machine."
                    )
                members = {
                    name: method.restore_member(member, "cpu")
                    for name, member in saved.members.items()
                }
                context = Context(seed=identity.seed, members={identity.protocol: members})
                model = method.restore(saved.tensors, context)
                with full_disk(Path(folder), "Set TMPDIR to a larger place."):
                    write_predictions(model, test, order, out, Stopwatch())
        except MethodFailedError as error:
            raise UserError(
                f"{path}: {spec.name} cannot predict from its model ({error}). Run again with "
                "--keep-models."
            ) from error
        # The map keeps the file until it is no longer used.
        predictions: NDArray[np.float32] = np.load(out, mmap_mode="r", allow_pickle=False)
    return predictions


def _check_code(path: Path, identity: Identity) -> None:
    """Refuse a model that the installed code of its method did not make."""
    code, spec = identity.code, registry().methods.get(identity.method)
    if code_digest(spec.code) != code.digest:
        raise UserError(
            f"{path}: the installed code of {identity.method} is not that of the record. Install "
            f"{code.distribution} {code.version}."
        )
