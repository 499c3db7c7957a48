"""Publishing results: merged with those in a git folder or a data set of Hugging Face."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from genebench._util.files import atomic_write
from genebench._util.hashing import KEY
from genebench.errors import UserError, missing_library
from genebench.results.merge import Merged, merge
from genebench.results.paths import LAYOUT_FILE, SHARED_FILES
from genebench.results.store import ResultsStore

HUGGING_FACE = "hf:"
"""Start of a destination that is a data set of Hugging Face, such as ``hf:me/results``."""
_CLIENT = "huggingface_hub"
_MARKS = re.compile(rf"({KEY.pattern})\.marks\.json")
_GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def publish_to_git(
    sources: list[Path], folder: Path, message: str, *, push: bool
) -> tuple[Merged, str]:
    """Merge results into a folder of a git repository, and commit its records and their files.

    Annotations of records that others submitted are committed, without ``verified``. Other changes
    in the repository are left alone.

    Args:
        sources: results folders, and bundles.
        folder: a results folder in a git repository, which may not exist yet.
        message: message of the commit.
        push: whether to push, even if nothing is new.

    Returns:
        The outcome of the merge, and the commit. It is empty if nothing is new.

    Raises:
        UserError: the folder is in no repository, its ``.gitignore`` hides results, or git refuses.
            Nothing is staged then.
    """
    _check_repository(sources, folder)
    merged = merge(sources, folder)
    with _without_verified(folder):
        commit = _commit(folder, message)
    if push:
        _git(folder, "push", "--quiet")
    return merged, commit


def _check_repository(sources: list[Path], folder: Path) -> None:
    """Check that results can be committed in a folder, which may not exist yet.

    Raises:
        UserError: the folder is in no repository, or ``.gitignore`` hides results.
    """
    place = next(
        parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.is_dir()
    )
    top = _run(place, "rev-parse", "--show-toplevel")
    if top.returncode:
        raise UserError(
            f"{folder}: is in no git repository ({_reason(top)}). Make one with git init, or clone "
            "one."
        )
    key, digest = "0" * 24, "0" * 16
    names = {LAYOUT_FILE, f"{key}.json", f"{key}.{digest}.npz", f"{key}.marks.json"}
    for source in sources:
        if source.is_dir():
            names |= {path.name for path in source.iterdir() if SHARED_FILES.fullmatch(path.name)}
    inside = folder.resolve().relative_to(place)
    paths = "\0".join(str(inside / name) for name in sorted(names))
    hidden = _run(place, "check-ignore", "-z", "--stdin", stdin=paths).stdout
    if hidden:
        kinds = sorted({Path(path).suffix for path in hidden.split("\0") if path})
        raise UserError(
            f"{folder}: .gitignore hides files of results ({', '.join(kinds)}), without which "
            "records are damaged. Remove these patterns, or add exceptions (!*.npz)."
        )


def _commit(folder: Path, message: str) -> str:
    """Commit the results in a folder, and return the commit. It is empty if nothing is new.

    Raises:
        UserError: git refuses. Nothing is staged then.
    """
    names = set(_published(folder))
    # Annotations of a record that was replaced are gone, and must not stay in the repository.
    tracked = _git(folder, "ls-files", "-z").split("\0")
    names |= {name for name in tracked if _MARKS.fullmatch(name) and not (folder / name).exists()}
    listed = "\0".join(sorted(names))
    from_list = ("--pathspec-from-file=-", "--pathspec-file-nul")
    try:
        _git(folder, "add", *from_list, stdin=listed)
        staged = _git(folder, "diff", "--cached", "--name-only", "--relative", "--no-renames", "-z")
        if names.isdisjoint(staged.split("\0")):
            return ""
        _git(folder, "commit", "--quiet", "--message", message, *from_list, stdin=listed)
    except UserError:
        _run(folder, "reset", "--quiet", *from_list, stdin=listed)
        raise
    return _git(folder, "rev-parse", "--short", "HEAD")


def _published(folder: Path) -> Iterator[str]:
    """Yield the names of the files to commit: records, their files, and who submitted them."""
    annotations = ResultsStore(folder).annotations
    for path in folder.iterdir():
        marks = _MARKS.fullmatch(path.name)
        if SHARED_FILES.fullmatch(path.name) or (marks and annotations.read(marks[1]).submitted):
            yield path.name


@contextmanager
def _without_verified(folder: Path) -> Iterator[None]:
    """Hide ``verified`` in the annotations of a folder for a while: each owner verifies."""
    annotations, kept = ResultsStore(folder).annotations, {}
    try:
        for path in folder.glob("*.marks.json"):
            marks = _MARKS.fullmatch(path.name)
            if marks and (held := annotations.read(marks[1])).verified and held.submitted:
                kept[path] = path.read_bytes()
                path.unlink()
                annotations.add(marks[1], submitted=held.submitted)
        yield
    finally:
        for path, content in kept.items():
            with atomic_write(path) as stream:
                stream.write(content)


def _git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Return the output of a git command.

    Raises:
        UserError: there is no git, or the command fails.
    """
    done = _run(folder, *arguments, stdin=stdin)
    if done.returncode:
        raise UserError(
            f"git {arguments[0]} in {folder}: {_reason(done)}. Mend this and publish again."
        )
    return done.stdout.strip()


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error of a git command on one line."""
    text = " ".join((done.stderr or done.stdout).split()).removeprefix("fatal: ").rstrip(".")
    return text or f"exit status {done.returncode}"


def _run(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a git command.

    Raises:
        UserError: there is no git.
    """
    # A hook of git sets these, and every git that it starts would look at the hook's repository.
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}
    try:
        return subprocess.run(  # noqa: S603  fixed words and the user's own folder
            ["git", "-C", str(folder), *arguments],  # noqa: S607  whichever git the user has
            input=stdin, capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"git cannot be run ({error.strerror}). Install it.") from None


def publish_to_hugging_face(sources: list[Path], name: str, message: str) -> tuple[Merged, str]:
    """Merge results with those of a data set of Hugging Face, and upload what is new.

    The data set is made, private, if there is none. The client of Hugging Face holds the
    credentials.

    Args:
        sources: results folders, and bundles.
        name: ``OWNER/NAME`` of the data set.
        message: message of the commit.

    Returns:
        The outcome of the merge, and the address of the commit. It is empty if nothing is new.

    Raises:
        UserError: the client is not installed, or it fails.
    """
    try:
        client: Any = import_module(_CLIENT)
    except ImportError:
        alternative = "Or publish to a folder of git."
        raise missing_library(f"{HUGGING_FACE}{name}", _CLIENT, "hub", alternative) from None
    api = client.HfApi()
    with tempfile.TemporaryDirectory(prefix="genebench-publish-") as temporary:
        folder = Path(temporary) / "results"
        folder.mkdir()
        try:
            api.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
            api.snapshot_download(name, repo_type="dataset", local_dir=folder)
            merged = merge(sources, folder)
            if not (merged.added or merged.replaced):
                return merged, ""
            done = api.upload_folder(
                repo_id=name, repo_type="dataset", folder_path=folder, commit_message=message,
                ignore_patterns=[".*"],
            )  # fmt: skip
        except UserError:
            raise
        # Any of the errors of the client: the network, the credentials, the name.
        except Exception as error:
            raise UserError(
                f"{HUGGING_FACE}{name}: the client failed ({error}). Check name and login."
            ) from error
    return merged, str(getattr(done, "commit_url", "") or done)
