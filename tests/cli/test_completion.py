"""Completion, driven by the protocols of the shells."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genebench.cli import build_app, invoke


@pytest.fixture
def complete(monkeypatch, capfd):
    """Return the words that bash is offered for a command line, whose last word is begun."""

    def complete(line):
        words = line.split(" ")
        monkeypatch.setenv("_GENEBENCH_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        with pytest.raises(SystemExit):
            invoke([])
        return capfd.readouterr().out.split()

    return complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("genebench run --methods lsr-l", {"lsr-l2", "lsr-l1"}),
        ("genebench run --methods knn,lsr-l2,train-me", {"knn,lsr-l2,train-mean"}),
        ("genebench run --protocol gtex", {"gtex"}),
        ("genebench tune --dataset si", {"sim"}),
        ("genebench report --metrics ma", {"mae"}),
        ("genebench run --engine loc", {"local"}),
        ("genebench run --device c", {"cpu", "cuda"}),
        ("genebench run tab", {"table1"}),
        ("genebench show ls", {"lsr", "lsr-l2"}),
        ("genebench check lsr-l", {"lsr-l2"}),
        ("genebench check gtex-lo", {"gtex-loto"}),
        ("genebench list met", {"methods", "metrics"}),
        ("genebench report ra", {"ranks"}),
        ("genebench run --preset ", {"tiny", "small", "paper"}),
        ("genebench comp", {"compare"}),
    ],
)
def test_names_are_offered(complete, line, offered):
    words = complete(line)
    assert offered <= set(words)
    last = line.rpartition(" ")[2]
    assert all(word.startswith(last) for word in words)


def test_a_name_of_a_list_is_offered_once(complete):
    assert "lsr,lsr" not in complete("genebench run --methods lsr,l")


def test_a_suite_file_is_offered(complete, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").touch()
    (tmp_path / "mine.txt").touch()
    assert complete("genebench run mi") == ["mine.toml"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_a_script_that_calls_back(shell, monkeypatch, capfd):
    monkeypatch.setenv("_GENEBENCH_COMPLETE", f"source_{shell}")
    with pytest.raises(SystemExit):
        invoke([])
    assert f"complete_{shell}" in capfd.readouterr().out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_same_with_its_help(shell, monkeypatch, capfd):
    monkeypatch.setenv("_GENEBENCH_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "genebench run --methods lsr-l2")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    with pytest.raises(SystemExit):
        invoke([])
    out = capfd.readouterr().out
    assert "lsr-l2" in out
    assert "ridge" in out.lower()


def test_a_broken_file_of_defaults_does_not_disturb_completion(complete, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genebench.toml").write_text("no toml")
    assert "lsr" in complete("genebench run --methods ls")


def test_the_root_command_installs_completion():
    assert build_app()._add_completion


def test_completion_imports_no_torch(monkeypatch):
    program = (
        "import os, sys\n"
        "os.environ |= {'_GENEBENCH_COMPLETE': 'complete_bash', 'COMP_CWORD': '3',\n"
        "               'COMP_WORDS': 'genebench run --methods gg'}\n"
        "from genebench.cli import invoke\n"
        "try:\n"
        "    invoke([])\n"
        "finally:\n"
        "    print(sorted({'torch', 'pandas', 'sklearn'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ggan" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
