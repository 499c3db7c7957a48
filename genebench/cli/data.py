"""``genebench data``: prepare, describe, verify and remove datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genebench._util.text import printable
from genebench.cli import aliases, card, export, fetch, new_manifest, output
from genebench.cli.exit_status import FAILED, OK
from genebench.cli.options import JsonOption, SilentOption
from genebench.cli.progress import bar
from genebench.errors import UserError, counted, some, unknown
from genebench.plugins.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genebench.data.store import Dataset

MISSING_SHOWN = 5
"""Number of missing genes that are named, of each role on each platform. ``--json`` has all."""

DatasetArgument = Annotated[str, typer.Argument(help="A dataset.", metavar="DATASET")]


def register(app: typer.Typer) -> None:
    """Add the group ``data`` of commands."""
    group = typer.Typer(
        help="Prepare, describe, verify and remove datasets.",
        epilog="Example: genebench data prepare u133.toml",
        no_args_is_help=True,
    )
    new_manifest.register(group)
    group.command("prepare", epilog="Example: genebench data prepare u133.toml")(prepare)
    group.command("list", epilog="Example: genebench data list")(list_)
    group.command("info", epilog="Example: genebench data info u133")(info)
    card.register(group)
    group.command("verify", epilog="Example: genebench data verify u133")(verify)
    fetch.register(group)
    group.command("remove", epilog="Example: genebench data remove u133")(remove)
    export.register(group)
    aliases.register(group)
    app.add_typer(group, name="data")


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="A manifest (TOML file), a dataset that a plugin offers, or a collection that was "
            "fetched, such as public-array."
        ),
    ],
    preset: Annotated[
        str | None, typer.Option(help="Size of an offered dataset: tiny, small or paper.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Prepare again what is prepared already.")
    ] = False,
    quiet: SilentOption = False,
) -> None:
    """Prepare a dataset for use.

    Genes are matched, profiles are normalised by the published recipe, split, and stored. Nothing
    is done if the same manifest and files, or the same plugin, gave the dataset before.
    """
    from genebench.datasets.library import find_built
    from genebench.datasets.manifest import find_prepared

    offered = registry().datasets
    source = _manifest_of(source)
    ready = None
    if not force and source in offered.specs:
        ready = find_built(source, offered, preset)
    elif not force:
        ready = find_prepared(Path(source))
    dataset = ready or _prepare(source, preset, quiet=quiet)
    if quiet:
        return
    if ready:
        output.line(
            f"{dataset.name}: already prepared (digest {dataset.digest}). To prepare it again, use "
            "--force."
        )
    else:
        _describe(dataset)
    name = source if source in offered.specs else dataset.name
    output.line(f"To use it: genebench run --dataset {name}")


def _manifest_of(source: str) -> str:
    """Return the manifest of a fetched collection, by its name, and any other source unchanged.

    Raises:
        UserError: the collection is not fetched.
    """
    from genebench.datasets.sources import find_collection

    collection = find_collection(source)
    if collection is None or Path(source).exists():
        return source
    manifest = fetch.downloads() / collection.manifest
    if not manifest.is_file():
        raise UserError(f"{source} is not fetched yet. Run genebench data fetch {source}.")
    return str(manifest)


def _prepare(source: str, preset: str | None, *, quiet: bool) -> Dataset:
    """Prepare an offered dataset, or that of a manifest."""
    from genebench.tasks import prepare

    with bar(quiet=quiet) as progress:
        return prepare(source, preset=preset, progress=progress)


def list_(json: JsonOption = False) -> None:
    """List the prepared datasets."""
    from genebench.data.store import DataStore

    store = DataStore()
    if json:
        output.as_json([_entry(name) for name in store.names()])
        return
    output.table(
        ("name", "digest", "platforms (profiles)", "genes", "title"),
        [_row(name) for name in store.names()],
    )
    output.line(f"in {store.root}")


def info(
    dataset: DatasetArgument,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the whole description, with every missing gene, as JSON."
        ),
    ] = False,
) -> None:
    """Describe a prepared dataset: platforms, genes found and missing, settings, digest."""
    opened = _prepared(dataset)
    if json:
        output.as_json(opened.info)
    else:
        _describe(opened)


def verify(dataset: DatasetArgument, json: JsonOption = False) -> int:
    """Check every file of a prepared dataset against its checksum, and the digest."""
    from genebench.data.verification import changed_cache_files, changed_files

    opened = _prepared(dataset)
    faults, in_cache = changed_files(opened), changed_cache_files(opened)
    if json:
        output.as_json(
            {
                "dataset": opened.name,
                "digest": opened.digest,
                "changed": [str(fault) for fault in faults],
                "changed_in_cache": [str(fault) for fault in in_cache],
            }
        )
        return FAILED if faults or in_cache else OK
    state = "content and digest agree"
    for fault in in_cache:
        output.line(
            f"{opened.root / fault}: this cache file was changed. Remove it: it is derived again "
            "when it is needed."
        )
        state = "DAMAGED cache. Remove the files above. Content and digest agree."
    for fault in faults:
        output.line(f"{opened.root / fault}: missing or changed")
        state = "DAMAGED. Prepare it again."
    output.line(f"{opened.name} {opened.digest}: {state}")
    return FAILED if faults or in_cache else OK


def remove(dataset: DatasetArgument) -> None:
    """Remove a prepared dataset from the store. Results that were made with it stay."""
    from genebench.data.store import DataStore

    store, stored = DataStore(), _stored_name(dataset)
    # It is not opened: a damaged dataset can be removed, too.
    if stored not in store.names():
        raise _not_prepared(dataset)
    line = f"removed {stored}"
    if not store.remove(stored):
        line += (
            ". A process uses its files. The next genebench data prepare or remove deletes them."
        )
    output.line(line)


def _prepared(name: str) -> Dataset:
    """Open a dataset that is prepared. Nothing is built."""
    from genebench.data.store import DataStore

    dataset = DataStore().open(_stored_name(name))
    if dataset is None:
        raise _not_prepared(name)
    return dataset


def _stored_name(name: str) -> str:
    """Return the name that a dataset of this name is prepared under."""
    from genebench.datasets.library import store_name

    spec = registry().datasets.specs.get(name)
    return store_name(spec, spec.preset) if spec else name


def _not_prepared(name: str) -> UserError:
    from genebench.data.store import DataStore

    if name in registry().datasets.specs:
        return UserError(f"{name} is not prepared yet. Run genebench data prepare {name}.")
    return unknown("prepared dataset", name, DataStore().names())


def _entry(name: str) -> dict[str, object]:
    """Return the entry of a dataset in the JSON list."""
    from genebench.data.store import DataStore

    try:
        dataset = DataStore().open(name)
    except UserError as error:
        return {"name": name, "state": "damaged", "error": str(error)}
    if dataset is None:
        return {"name": name, "state": "gone"}
    info = dataset.info
    return {
        "name": name,
        "state": "prepared",
        "digest": dataset.digest,
        "title": info["title"],
        "platforms": {name: part["profiles"] for name, part in info["platforms"].items()},
        "landmarks": info["landmarks"],
        "targets": info["targets"],
    }


def _row(name: str) -> tuple[str, ...]:
    """Return the row of a dataset in the list."""
    from genebench.data.store import DataStore

    try:
        dataset = DataStore().open(name)
    except UserError as error:
        return name, "damaged", "", "", str(error)
    if dataset is None:
        return name, "gone", "", "", ""  # removed since the names were listed
    info = dataset.info
    sizes = [f"{name} ({part['profiles']:,})" for name, part in info["platforms"].items()]
    genes = f"{info['landmarks']:,} + {info['targets']:,}"
    return name, dataset.digest, ", ".join(sizes), genes, str(info["title"])


def _describe(dataset: Dataset) -> None:
    """Print digest, sizes, settings, platforms and missing genes of a dataset."""
    from genebench.preprocessing.scale_checks import BY_RANK

    info = dataset.info
    output.prose(printable(f"{dataset.name}: {info['title']}"))
    settings = "values and split as they came"
    if not dataset.is_standardised:
        settings = f"missing genes: {info['missing_genes']}, split seed {info['split_seed']}"
    output.prose(
        f"digest {dataset.digest}: {info['landmarks']:,} landmarks, {info['targets']:,} targets, "
        f"{info['twins']:,} of them twins. Settings: {settings}."
    )
    duplicates = info.get("duplicates", {"rule": "keep"})
    if duplicates["rule"] != "keep":
        removed = duplicates["removed"]
        shown = f" ({some(removed)})" if removed else ""
        output.prose(
            printable(
                f"duplicates removed by the {duplicates['rule']} rule: {len(removed):,}{shown}"
            )
        )
    output.table(
        (
            "platform", "profiles", "ids", "scale", "landmarks found", "targets found", "partly",
            "group",
        ),
        [_platform_row(dataset, name) for name in dataset.platforms],
    )  # fmt: skip
    if info["origin"].get("recipe") == "paired":
        output.line("landmarks and targets come from two assays of the same samples")
    elif not dataset.is_standardised:
        output.prose(f"scale {BY_RANK}")
    for name in dataset.platforms:
        for line in (*_found(info["platforms"][name]), *_choices(info["platforms"][name])):
            output.prose(printable(f"{name}: {line}"))
    _describe_missing(dataset)
    for name, platform in info["platforms"].items():
        for note in platform.get("notes", ()):
            output.line(printable(f"{name}: {note}"))


def _found(platform: Mapping[str, Any]) -> Iterator[str]:
    """Yield which profiles and columns were found in the file of a platform."""
    if not (found := platform.get("found")):
        return
    line = f"{counted(found['profiles'], 'profile')} found, {found['first']} … {found['last']}"
    if found["id_column"] is not None:
        name = found["id_column"]
        line += f". Ids are in column {name!r}" if name else ". Ids are in a column without a name"
    if found["skipped"]:
        line += f". Neither ids nor values: {some(found['skipped'], MISSING_SHOWN)}"
    yield line
    if found["unlike"]:
        yield (
            f"{some(found['unlike'])}: unlike the other profile ids. A column that is no profile "
            "can be named in skip_columns."
        )


def _choices(platform: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the rules of a platform left out, combined or filled."""
    if (pattern := platform.get("id_pattern")) and pattern["unlike"]:
        yield f"{counted(pattern['unlike'], 'id')} not of the form {pattern['pattern']!r}, kept"
    if (repeated := platform.get("repeated")) and repeated["genes"]:
        yield (
            f"{counted(repeated['genes'], 'id')} of the maps in several rows. Taken: "
            f"{repeated['rule']}"
        )
    if repeated and repeated["other_rows"]:
        yield f"{counted(repeated['other_rows'], 'row')} with an empty or repeated id, in no map"
    if missing := platform.get("missing_values"):
        yield (
            f"{counted(missing['cells'], 'missing value')} in genes of the maps. "
            f"{missing['rule']} left out {_named(missing['genes'], 'row')} and "
            f"{_named(missing['profiles'], 'profile')}"
        )
        if others := missing.get("other_genes"):
            yield f"{counted(others, 'other row')} with a missing value, in no map, left out, too"
    if filled := platform.get("filled"):
        yield (
            f"{_named(filled, 'landmark')} not measured, but filled with the mean rank on the "
            "training arrays"
        )


def _named(ids: list[str], noun: str) -> str:
    """Return a number of rows, profiles or landmarks, and the first of them."""
    return counted(len(ids), noun) + (f" ({some(ids)})" if ids else "")


def _describe_missing(dataset: Dataset) -> None:
    """Print the first few genes of the maps that are missing, by platform and role."""
    for name, platform in dataset.info["platforms"].items():
        for role in ("landmarks", "targets"):
            missing = platform["coverage"][role]["missing"]
            if not missing:
                continue
            shown = ", ".join(missing[:MISSING_SHOWN])
            if (more := len(missing) - MISSING_SHOWN) > 0:
                shown += f" and {more:,} more (genebench data info {dataset.name} --json)"
            output.prose(printable(f"{role} missing on {name}: {shown}"))


def _platform_row(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Return the row of a platform in the description of a dataset."""
    from genebench.preprocessing.scale_checks import scale_label

    platform = dataset.info["platforms"][name]
    roles = [platform["coverage"][role] for role in ("landmarks", "targets")]
    counts = (f"{role['found']:,} of {role['in_map']:,}" for role in roles)
    partly = sum(len(role["partial"]) for role in roles)
    profiles, group = f"{platform['profiles']:,}", platform["group"] or ""
    scale = "standardised"
    if dataset.info["origin"].get("recipe") == "paired":
        scale = "as they are"
    elif not dataset.is_standardised:
        scale = scale_label(name, platform.get("level", "log2"))
    return name, profiles, platform["ids"], scale, *counts, f"{partly:,}", group
