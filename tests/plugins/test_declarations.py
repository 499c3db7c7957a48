"""Third-party plugins are read in a process apart, and only imported if their code runs here."""

from __future__ import annotations

import sys

import pytest

from genebench.errors import UserError
from genebench.plugins.declarations import Declared, are_wanted
from genebench.plugins.discovery import installed, load_code, use_files
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry
from genebench.results.record import Seal
from genebench.runs.seals import as_stated

METHODS = """
import sys
from genebench import Method, hookimpl
from genebench.specs import MethodSpec, Param
genebench_contract = 1
sys.modules["genebench"].was_imported_here = True
print("words of a plugin \\x1b[31m")

@hookimpl
def genebench_methods():
    k = Param(name="k", default=3, minimum=1, help="h")
    return [MethodSpec(name="apart", title="t", summary="s", code="apart:Apart", params=(k,))]

class Apart(Method):
    def fit(self, train, validation_sets, context):
        raise NotImplementedError
"""
METRIC = """

@hookimpl
def genebench_metrics():
    return []
"""


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Use a plugin file of some source, as a user does who has sealed methods."""
    monkeypatch.setenv(FILES, "")
    monkeypatch.delenv("GENEBENCH_SEALED", raising=False)
    if not are_wanted():
        pytest.skip("methods run in this process here")

    def use(source, name="apart"):
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        use_files([path])
        registry.cache_clear()
        return next(plugin for plugin in installed().all if plugin.file == path)

    yield use
    sys.modules.pop("apart", None)
    vars(sys.modules["genebench"]).pop("was_imported_here", None)
    installed.cache_clear()
    registry.cache_clear()


def was_imported():
    return "was_imported_here" in vars(sys.modules["genebench"])


def test_a_plugin_of_methods_is_never_imported_here(use, capfd):
    plugin = use(METHODS)
    spec = registry().methods.get("apart")
    assert (spec.code, spec.params[0].default) == ("apart:Apart", 3)
    assert isinstance(plugin.module, Declared)
    assert not was_imported()
    assert "words of a plugin" in capfd.readouterr().err


def test_its_declarations_are_read_anew_only_when_it_changes(use, capfd):
    use(METHODS)
    capfd.readouterr()
    installed.cache_clear()
    use(METHODS)
    assert "words of a plugin" not in capfd.readouterr().err
    use(METHODS.replace("default=3", "default=4"))
    assert registry().methods.get("apart").params[0].default == 4


def test_a_plugin_whose_code_runs_here_is_imported_and_lowers_the_seal(use):
    use(METHODS + METRIC)
    assert was_imported()
    seal = as_stated(Seal(level="landlock", abi=7), ["apart"])
    assert seal.level == "view"
    assert "its plugin apart offers more than methods" in seal.reason


def test_methods_of_a_plugin_apart_and_of_genebench_keep_their_seal(use):
    use(METHODS)
    seal = Seal(level="landlock", abi=7)
    assert as_stated(seal, ["apart"]) == seal
    assert as_stated(seal, ["train-mean"]) == seal


def test_its_method_is_imported_when_it_is_to_run_here(use):
    use(METHODS)
    assert load_code("apart:Apart").__name__ == "Apart"
    assert was_imported()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os; os._exit(0)", "ended its process while it was imported"),
        (METHODS.replace("genebench_contract = 1", ""), "declares no contract version"),
        (METHODS.replace("@hookimpl", ""), "defines genebench_methods without a mark"),
        (METHODS.replace("return [", "return [None, "), "returned None, not a MethodSpec"),
    ],
)
def test_a_broken_one_is_a_line_as_if_it_were_imported(use, source, message):
    with pytest.raises(UserError, match=message):
        use(source)
    assert not was_imported()


def test_one_that_never_ends_is_overdue(use, monkeypatch):
    monkeypatch.setenv("GENEBENCH_PLUGIN_TIME_LIMIT", "1")
    with pytest.raises(UserError, match="took more than 1 s to load"):
        use("while True: pass")


def test_it_can_write_nowhere(use, tmp_path):
    if as_stated(Seal(level="landlock"), ["train-mean"]) and sys.platform != "linux":
        pytest.skip("no Landlock")
    target = tmp_path / "written"
    with pytest.raises(UserError, match=r"PermissionError|Read-only|OSError"):
        use(f"open({str(target)!r}, 'w').write('x')")
    assert not target.exists()
