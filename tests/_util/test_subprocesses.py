"""The import path of subprocesses: that of this process, whatever their working directory is."""

from __future__ import annotations

import os
import subprocess
import sys

from genebench._util.subprocesses import import_path


def test_entries_are_absolute_and_keep_their_order(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "plugins", str(link), "/absolute"])
    expected = [str(tmp_path), str(tmp_path / "plugins"), str(link), "/absolute"]
    assert import_path().split(os.pathsep) == expected


def test_a_subprocess_in_another_folder_imports_what_this_process_can(monkeypatch, tmp_path):
    (tmp_path / "near.py").write_text("value = 7\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import near; print(near.value)"],
        env=os.environ | {"PYTHONPATH": import_path()}, cwd=tmp_path / "elsewhere",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "7\n"
