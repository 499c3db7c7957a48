"""Nobody ends genebench with success before it is done."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from threading import Thread

import pytest

from genebench.plugins.guards import no_exit

METHOD = """
import os
from genebench import Method, hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
class Exits(Method):
    def fit(self, train, validation_sets, context):
        os._exit(0)
@hookimpl
def genebench_methods():
    return [MethodSpec(name="exits", title="t", summary="s", code="{name}:Exits")]
"""


@pytest.fixture
def command(install, tmp_path, monkeypatch):
    """A command line in a process of its own, beside a plugin."""

    def run(name, source, *arguments):
        site = install(name, textwrap.dedent(source))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *sys.path]))
        return subprocess.run(
            [sys.executable, "-m", "genebench", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_a_method_that_exits_is_a_failed_record(command, tiny):
    run = ("run", "--methods", "exits", "--protocol", "geo", "--preset", "tiny", "--quiet")
    done = command("exits", METHOD.format(name="exits"), *run)
    assert done.returncode == 1
    shown = " ".join(done.stdout.split())  # lines wrap
    assert "failed: SystemExit: os._exit(0) was called, and would have ended genebench" in shown


def test_a_plugin_that_exits_when_it_is_imported_is_set_aside(command):
    done = command("early", "import os\nos._exit(0)", "list", "plugins")
    assert done.returncode == 0
    assert "os._exit(0) was called" in done.stdout
    assert "genebench.methods.controls" in done.stdout


def test_a_command_of_a_plugin_that_exits_ends_with_a_line_and_no_success(command):
    source = """
        import os
        from genebench import hookimpl
        genebench_contract = 1
        @hookimpl
        def genebench_commands(app):
            @app.command("leave")
            def leave() -> None:
                os._exit(0)
        """
    done = command("leaver", source, "leave")
    assert done.returncode == 1
    assert done.stderr == "os._exit(0) was called, and would have ended genebench\n"


def test_what_is_forked_may_exit_and_afterwards_so_may_we():
    before = os._exit
    with no_exit():
        if not (child := os.fork()):
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with pytest.raises(SystemExit, match=r"os\._exit\(0\) was called"):
            os._exit(0)
    assert os._exit is before


def test_an_exit_in_a_thread_is_reported_and_ends_nothing():
    raised = []

    def leave():
        try:
            os._exit(3)
        except RuntimeError as error:
            raised.append(str(error))

    with no_exit():
        thread = Thread(target=leave)
        thread.start()
        thread.join()
    assert raised == ["os._exit(3) in a thread does not end genebench"]
