"""Datasets by name: those that are prepared, and those that a plugin offers."""

from __future__ import annotations

from dataclasses import replace

from genebench._util.hashing import code_digest
from genebench._util.progress import Progress, silent
from genebench.data.store import RECIPE, Dataset, DataStore
from genebench.data.verification import changed_files
from genebench.errors import UserError, unknown
from genebench.formats.guarded import GuardedReader
from genebench.hookspecs import PROJECT
from genebench.plugins.discovery import load_code
from genebench.plugins.faults import blamed, plugin_fault
from genebench.plugins.plugin import Plugin
from genebench.plugins.registry import SpecRegistry
from genebench.preprocessing.compendium import Compendium
from genebench.specs import PRESETS, DatasetSpec


def store_name(spec: DatasetSpec, preset: str) -> str:
    """Return the name that a dataset is prepared under: one for each size that it comes in."""
    return f"{spec.name}-{preset}" if spec.presets else spec.name


def open_dataset(
    name: str,
    datasets: SpecRegistry[DatasetSpec],
    preset: str | None = None,
    progress: Progress = silent,
    *,
    force: bool = False,
) -> Dataset:
    """Open a dataset. One that the registry offers is built first, unless it is ready.

    Args:
        name: name of an offered or a prepared dataset.
        datasets: the datasets on offer.
        preset: size of an offered dataset, or None for the size that it suggests.
        progress: called after each block while the dataset is built.
        force: whether to build an offered dataset even if it is ready.

    Raises:
        UserError: there is no such dataset, or it does not come in that size.
    """
    if name not in datasets.specs:
        dataset = DataStore().open(name)
        if dataset is None:
            raise unknown("dataset", name, {*datasets.specs, *DataStore().names()})
        return dataset
    spec = datasets.specs[name]
    size = preset or spec.preset
    if spec.presets and size not in spec.presets:
        raise unknown(f"size of dataset {spec.name}", size, spec.presets)
    ready = None if force else _ready(spec, size)
    if ready:
        return ready
    # Late: it compiles loops, and a dataset that is prepared already does without.
    from genebench.preprocessing.recipe import prepare

    return prepare(
        _compendium(spec, size, datasets.plugins[name]),
        name=store_name(spec, size),
        code=code_digest(spec.code),
        progress=progress,
    )


def _compendium(spec: DatasetSpec, size: str, plugin: Plugin) -> Compendium:
    """Return the raw platforms of an offered dataset. Those of a plugin are not trusted.

    Raises:
        UserError: the plugin's code fails, or returns something else.
    """
    subject = f"dataset {spec.name}: the code"
    with blamed(plugin, subject):
        compendium = load_code(spec.code)(size)
        if not isinstance(compendium, Compendium):
            problem = f"returned a {type(compendium).__name__}, not a Compendium"
            raise plugin_fault(plugin, subject, problem)
        if plugin.distribution == PROJECT:
            return compendium
        platforms = {
            name: replace(platform, reader=GuardedReader(platform.reader, plugin, name))
            for name, platform in compendium.platforms.items()
        }
        return replace(compendium, platforms=platforms)


def suggested_preset(name: str, datasets: SpecRegistry[DatasetSpec]) -> str:
    """Return the preset that a dataset suggests to methods."""
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
        raise UserError(
            f"dataset name {name!r} belongs to a built-in dataset or a plugin. Choose another name."
        )


def find_built(
    name: str, datasets: SpecRegistry[DatasetSpec], preset: str | None = None
) -> Dataset | None:
    """Return an offered dataset if it is prepared and every file of it is sound, else None."""
    spec = datasets.specs[name]
    dataset = _ready(spec, preset or spec.preset)
    # verify reads every file. Preparing is asked for to mend a store, so it does not trust dates.
    return dataset if dataset and not changed_files(dataset) else None


def is_ready(name: str, datasets: SpecRegistry[DatasetSpec], preset: str | None) -> bool:
    """Return whether a dataset can be opened without building it first."""
    spec = datasets.specs.get(name)
    return spec is None or _ready(spec, preset or spec.preset) is not None


def _ready(spec: DatasetSpec, size: str) -> Dataset | None:
    """Return the prepared dataset, or None if it is damaged or was made by other code."""
    try:
        dataset = DataStore().open(store_name(spec, size))
    except UserError:
        return None
    if dataset is None:
        return None
    # Code that was edited, or another recipe, would give other numbers under the same name.
    made_by = dataset.info["origin"].get("code"), dataset.info.get("recipe")
    return dataset if made_by == (code_digest(spec.code), RECIPE) else None
