"""``genebench data fetch``: download the known public files, or tell where to get them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from genebench._util.text import printable
from genebench.cli import output
from genebench.cli.exit_status import FAILED, OK
from genebench.cli.options import JsonOption, SilentOption
from genebench.cli.progress import bar
from genebench.datasets.sources import Collection, Source
from genebench.errors import UserError

_MEGABYTE_BYTES = 1_000_000


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("fetch", epilog="Example: genebench data fetch geuvadis")(fetch)


def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="A source, a file of a source, a collection such as public-array, or all. list "
            "shows them.",
            metavar="NAME|all|list",
        ),
    ] = "list",
    json: JsonOption = False,
    quiet: SilentOption = False,
) -> int:
    """Download known public files and verify them.

    The same command continues an interrupted download. Files that you put into the folder yourself
    are verified and used. A collection is fetched with the manifest that prepares it.
    """
    from genebench.datasets import sources

    folder = downloads()
    if json and name != "list":
        raise UserError("--json prints the list of sources. Leave it out to download.")
    if name == "list":
        _list(folder, json=json)
    elif name == "all":
        return _fetch_all(folder, quiet=quiet)
    elif collection := sources.find_collection(name):
        return _fetch_collection(collection, folder, quiet=quiet)
    else:
        _fetch(sources.find(name), folder, quiet=quiet)
    return OK


def downloads() -> Path:
    """Return the folder of fetched files."""
    from genebench.data.home import home

    return home() / "downloads"


def _list(folder: Path, *, json: bool) -> None:
    """Print every known source and its state in the folder."""
    from genebench.datasets.sources import COLLECTIONS, SOURCES

    if json:
        output.as_json(
            {
                "sources": [
                    {
                        "name": source.name, "state": _state(source, folder),
                        "bytes": source.size, "file": source.file, "title": source.title,
                        "licence": source.licence,
                    }
                    for source in SOURCES
                ],
                "collections": [
                    {"name": item.name, "title": item.title, "sources": list(item.sources)}
                    for item in COLLECTIONS
                ],
                "folder": str(folder),
            }
        )  # fmt: skip
        return

    output.table(
        ("name", "state", "size", "file", "what it is"),
        [
            (source.name, _state(source, folder), _size(source.size), source.file, source.title)
            for source in SOURCES
        ],
    )
    output.table(
        ("collection", "what it is", "sources"),
        [(item.name, item.title, ", ".join(item.sources)) for item in COLLECTIONS],
    )
    output.line(f"in {folder}. fetch also verifies files that you put there yourself.")


def _fetch_all(folder: Path, *, quiet: bool) -> int:
    """Fetch every public file. Name those that have to be asked for, and those that failed.

    Files of more than 20 GB are left out, and named.
    """
    from genebench.datasets.sources import MOST_BYTES, SOURCES

    missing, large, wanted = [], [], []
    for source in SOURCES:
        if not (source.urls or (folder / source.file).exists()):
            missing.append(source.name)
        elif source.cap > MOST_BYTES and not (folder / source.file).exists():
            large.append(source.name)
        else:
            wanted.append(source)
    failed = _fetch_each(wanted, folder, quiet=quiet)
    if large and not quiet:
        output.line(f"too large to come with all: {', '.join(large)}. Fetch each by its name.")
    if missing and not quiet:
        output.line(
            f"not served in public: {', '.join(missing)}. To see where to ask for one, run "
            "genebench data fetch NAME."
        )
    return _status(failed)


def _fetch_collection(collection: Collection, folder: Path, *, quiet: bool) -> int:
    """Fetch the files of a collection, and write the manifest that prepares them.

    A manifest that is there stays as it is: the user may have edited it.
    """
    from genebench._util.files import atomic_write, user_errors
    from genebench.datasets import sources

    wanted = [sources.find(name) for name in collection.sources]
    failed = _fetch_each(wanted, folder, quiet=quiet)
    manifest = folder / collection.manifest
    if not failed:
        with user_errors(folder, "Set GENEBENCH_HOME to another folder."):
            if not manifest.exists():
                with atomic_write(manifest) as stream:
                    stream.write(collection.manifest_text())
        if not quiet:
            output.line(f"{manifest}: the manifest. To prepare it, run genebench data prepare "
                        f"{collection.name}")  # fmt: skip
    return _status(failed)


def _fetch_each(wanted: Iterable[Source], folder: Path, *, quiet: bool) -> list[str]:
    """Fetch sources, and return the names of those that failed, after a line about each."""
    failed = []
    for source in wanted:
        try:
            _fetch(source, folder, quiet=quiet)
        except UserError as error:
            failed.append(source.name)
            output.message(f"genebench: {printable(f'{source.name}: {error}')}")
    return failed


def _status(failed: list[str]) -> int:
    if failed:
        output.message(f"genebench: failed: {', '.join(failed)}")
    return FAILED if failed else OK


def _fetch(source: Source, folder: Path, *, quiet: bool) -> None:
    """Fetch one file, and print its licence and how it was verified."""
    from genebench.datasets.download import assurance
    from genebench.datasets.download import fetch as fetch_file

    if source.urls and not quiet and not (folder / source.file).exists():
        output.line(f"{source.file} ({_size(source.size)}): {source.licence}")
    with bar(quiet=quiet) as progress:
        path = fetch_file(source, folder, progress)
    # That nothing verified a file is no news of progress, which --quiet leaves out.
    if not quiet or not source.checksum:
        show = output.message if quiet else output.line
        show(f"{path}: {assurance(source, folder)}")
    if source.unpacked:
        from genebench.datasets.unpacking import unpack

        with bar(quiet=quiet) as progress:
            is_new = unpack(source, folder, progress)
        if not quiet:
            state = "unpacked from it" if is_new else "already unpacked from it"
            output.line(f"{folder / source.unpacked}: {state}")


def _state(source: Source, folder: Path) -> str:
    """Return the state of a source in the folder, in words."""
    part = folder / source.part
    if (folder / source.file).exists():
        return "here"
    if part.exists():
        return f"{_size(part.stat().st_size)} of it here"
    return "to fetch" if source.urls else "to ask for"


def _size(size: int | None) -> str:
    """Return a number of bytes in megabytes, for people."""
    return "unknown" if size is None else f"{size / _MEGABYTE_BYTES:,.2f} MB"
