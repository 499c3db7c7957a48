"""Publishing results: merged with those in a git folder or a data set of Hugging Face."""

from __future__ import annotations

import os
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from genebench._util.files import user_errors
from genebench.errors import UserError
from genebench.results.merge import Merged, merge
from genebench.results.paths import OTHER_FOLDER, SHARED_FILES

HUGGING_FACE = "hf:"
"""Start of a destination that is a data set of Hugging Face, such as ``hf:me/results``."""
_CLIENT = "huggingface_hub"
_GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def publish_to_git(
    sources: list[Path], folder: Path, message: str, *, push: bool
) -> tuple[Merged, str]:
    """Merge results into a folder of a git repository, and commit its records and their files.

    Other changes in the repository are left alone.

    Args:
        sources: results folders, and bundles.
        folder: a results folder in a git repository, which may not exist yet.
        message: message of the commit.
        push: whether to push the commit.

    Returns:
        The outcome of the merge, and the commit. It is empty if nothing is new.

    Raises:
        UserError: the folder is in no repository, or git refuses.
    """
    with user_errors(folder, OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        _git(folder, "rev-parse", "--show-toplevel")
    except UserError as error:
        raise UserError(
            f"{folder}: is in no git repository ({error}). Make one with git init, or clone one."
        ) from None
    merged = merge(sources, folder)
    names = [path.name for path in folder.iterdir() if SHARED_FILES.fullmatch(path.name)]
    listed = "\0".join(names)
    from_list = ("--pathspec-from-file=-", "--pathspec-file-nul")
    _git(folder, "add", *from_list, stdin=listed)
    if not _git(folder, "diff", "--cached", "--name-only", "--relative", "--", "."):
        return merged, ""
    _git(folder, "commit", "--quiet", "--message", message, *from_list, stdin=listed)
    if push:
        _git(folder, "push", "--quiet")
    return merged, _git(folder, "rev-parse", "--short", "HEAD")


def _git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Return the output of a git command.

    Raises:
        UserError: there is no git, or the command fails.
    """
    # A hook of git sets these, and every git that it starts would look at the hook's repository.
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}
    try:
        done = subprocess.run(  # noqa: S603  fixed words and the user's own folder
            ["git", "-C", str(folder), *arguments],  # noqa: S607  whichever git the user has
            input=stdin, capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"git cannot be run ({error.strerror}). Install it.") from None
    if done.returncode:
        reason = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise UserError(f"git {arguments[0]} in {folder}: {reason}. Mend this and publish again.")
    return done.stdout.strip()


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
        raise UserError(
            f"{HUGGING_FACE}{name} needs {_CLIENT}, which is not installed. Install it: pip "
            f"install {_CLIENT}. Or publish to a folder of git."
        ) from None
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
