"""Datasets by name: opened when prepared, built first when a plugin offers them."""

from __future__ import annotations

from genebench._util.hashing import code_digest
from genebench._util.progress import Progress, silent
from genebench.data.store import RECIPE, Dataset, DataStore
from genebench.errors import UserError, unknown
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import SpecRegistry
from genebench.preprocessing.recipe import prepare
from genebench.specs import PRESETS, DatasetSpec


def store_name(spec: DatasetSpec, preset: str) -> str:
    """Name that a dataset is prepared under; one that comes in sizes has one for each."""
    return f"{spec.name}-{preset}" if spec.presets else spec.name


def open_dataset(
    name: str,
    datasets: SpecRegistry[DatasetSpec],
    preset: str | None = None,
    progress: Progress = silent,
    *,
    force: bool = False,
) -> Dataset:
    """Open a dataset that is prepared, or that the registry can build; ``force`` builds it anew.

    Raises:
        UserError: there is neither, or it does not come in that size.
    """
    if name in datasets.specs:
        return _built(datasets.specs[name], preset, progress, force=force)
    dataset = DataStore().open(name)
    if dataset is None:
        raise unknown("dataset", name, {*datasets.specs, *DataStore().names()})
    return dataset


def suggested_preset(name: str, datasets: SpecRegistry[DatasetSpec]) -> str:
    """The preset that a dataset suggests to methods."""
    if name in datasets.specs:
        return datasets.specs[name].preset
    dataset = DataStore().open(name)
    return str(dataset.info["preset"]) if dataset else "small"


def check_new_name(name: str, datasets: SpecRegistry[DatasetSpec]) -> None:
    """Refuse a name that a dataset of the registry uses.

    Raises:
        UserError: the name is taken.
    """
    taken = {store_name(spec, size) for spec in datasets.specs.values() for size in PRESETS}
    if name in taken | set(datasets.specs):
        raise UserError(f"dataset name {name!r} belongs to a built-in or plugin; choose another")


def find_built(
    name: str, datasets: SpecRegistry[DatasetSpec], preset: str | None = None
) -> Dataset | None:
    """A dataset that the registry offers, if it is prepared already and sound."""
    spec = datasets.specs[name]
    dataset = _ready(spec, preset or spec.preset)
    return dataset if dataset and not dataset.verify() else None


def is_ready(name: str, datasets: SpecRegistry[DatasetSpec], preset: str | None) -> bool:
    """Whether opening a dataset would not have to build it first."""
    spec = datasets.specs.get(name)
    return spec is None or _ready(spec, preset or spec.preset) is not None


def _built(spec: DatasetSpec, preset: str | None, progress: Progress, *, force: bool) -> Dataset:
    size = preset or spec.preset
    if spec.presets and size not in spec.presets:
        raise unknown(f"size of dataset {spec.name}", size, spec.presets)
    ready = None if force else _ready(spec, size)
    if ready:
        return ready
    compendium = load_code(spec.code)(size)
    return prepare(
        compendium, name=store_name(spec, size), code=code_digest(spec.code), progress=progress
    )


def _ready(spec: DatasetSpec, size: str) -> Dataset | None:
    """The prepared dataset, unless it is damaged or was made by other code."""
    try:
        dataset = DataStore().open(store_name(spec, size))
    except UserError:
        return None
    if dataset is None:
        return None
    made_by = dataset.info["origin"].get("code"), dataset.info.get("recipe")
    return dataset if made_by == (code_digest(spec.code), RECIPE) else None
