"""``genebench data``: prepare datasets and look after them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genebench.catalog import catalog
from genebench.cli import output
from genebench.cli.progress import bar

DAMAGED = 1

DatasetArgument = Annotated[str, typer.Argument(help="A dataset.", metavar="DATASET")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Prepare datasets and look after them.", no_args_is_help=True)
    group.command("prepare", epilog="Example: genebench data prepare u133.toml")(prepare)
    group.command("list", epilog="Example: genebench data list")(list_)
    group.command("info", epilog="Example: genebench data info u133")(info)
    group.command("verify", epilog="Example: genebench data verify u133")(verify)
    app.add_typer(group, name="data")


def prepare(
    manifest: Annotated[Path, typer.Argument(help="The manifest, a TOML file.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")] = False,
) -> None:
    """Prepare the dataset that a manifest describes: match genes, normalise, split, store."""
    from genebench.data.manifest import read_manifest
    from genebench.data.prepare import prepare as run_recipe
    from genebench.library import check_new_name

    compendium = read_manifest(manifest)
    check_new_name(compendium.name, catalog().datasets)
    with bar(quiet=quiet) as progress:
        dataset = run_recipe(compendium, progress=progress)
    if not quiet:
        _describe(dataset.info)
        typer.echo(f"use it: genebench run --dataset {dataset.name}")


def list_() -> None:
    """List the prepared datasets."""
    from genebench.data.store import DataStore

    store = DataStore()
    found = [dataset for name in store.names() if (dataset := store.open(name))]
    output.table(
        ("name", "digest", "platforms (profiles)", "genes", "title"),
        [
            (
                dataset.name,
                dataset.digest,
                ", ".join(
                    f"{name} ({platform['profiles']:,})"
                    for name, platform in dataset.info["platforms"].items()
                ),
                f"{dataset.info['landmarks']:,} + {dataset.info['targets']:,}",
                str(dataset.info["title"]),
            )
            for dataset in found
        ],
    )
    typer.echo(f"in {store.root}")


def info(dataset: DatasetArgument) -> None:
    """Describe a prepared dataset: platforms, genes found and missing, policy, digest."""
    from genebench.library import open_dataset

    _describe(open_dataset(dataset, catalog().datasets).info)


def verify(dataset: DatasetArgument) -> int:
    """Check that the content of a dataset still has the digest it was prepared with."""
    from genebench.library import open_dataset

    opened = open_dataset(dataset, catalog().datasets)
    sound = opened.verify()
    state = "content and digest agree" if sound else "DAMAGED: prepare it again"
    typer.echo(f"{opened.name} {opened.digest}: {state}")
    return 0 if sound else DAMAGED


def _describe(info: dict[str, Any]) -> None:
    typer.echo(f"{info['name']}: {info['title']}")
    typer.echo(
        f"digest {info['digest']}; {info['landmarks']:,} landmarks, {info['targets']:,} targets, "
        f"{info['twins']:,} of them twins; missing genes: {info['missing_genes']}; "
        f"split seed {info['split_seed']}"
    )
    output.table(
        ("platform", "profiles", "ids", "landmarks found", "targets found", "partly", "group"),
        [_platform_row(name, platform) for name, platform in info["platforms"].items()],
    )


def _platform_row(name: str, platform: dict[str, Any]) -> tuple[str, ...]:
    roles = [platform["coverage"][role] for role in ("landmarks", "targets")]
    found = (f"{role['found']:,} of {role['in_map']:,}" for role in roles)
    partly = sum(len(role["partial"]) for role in roles)
    return (
        name, f"{platform['profiles']:,}", platform["ids"], *found, f"{partly:,}",
        platform["group"] or "",
    )  # fmt: skip
