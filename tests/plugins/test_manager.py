"""All plugins: a broken one is isolated, and costs the user nothing else."""

from __future__ import annotations

import json
import logging

import pytest
from sample_plugins import GOOD, OVERDUE, command, install_sick, methods, plugin

from genebench.api import run
from genebench.errors import UserError
from genebench.plugins.discovery import discover
from genebench.plugins.manager import STRICT
from genebench.plugins.registry import Registry
from genebench.plugins.time_limit import LIMIT

pytestmark = pytest.mark.usefixtures("fresh_plugins")


BROKEN = {
    "its import fails": (
        "import genebench_no_such_module",
        "ModuleNotFoundError: No module named 'genebench_no_such_module'",
    ),
    "its source has a syntax error": ("def broken(:", "SyntaxError"),
    "it exits while it is imported": ("raise SystemExit('bye')", "SystemExit: bye"),
    "it raises several lines": ("raise RuntimeError('one\\ntwo')", "RuntimeError: one two"),
    "it raises an error that cannot be printed": (
        """
        class Unprintable(Exception):
            def __str__(self):
                raise RuntimeError("not even this")
        raise Unprintable
        """,
        "Unprintable",
    ),
    "its hook raises": (
        """
        @hookimpl
        def genebench_methods():
            raise KeyError("lost")
        """,
        "KeyError: 'lost'",
    ),
    "its hook raises midway": (
        """
        @hookimpl
        def genebench_methods():
            yield method()
            raise OSError("half way")
        """,
        "OSError: half way",
    ),
    "its hook exits": (
        """
        @hookimpl
        def genebench_methods():
            raise SystemExit(3)
        """,
        "SystemExit: 3",
    ),
    "it raises what is no Exception": (
        """
        class Odd(BaseException):
            pass
        raise Odd("strange")
        """,
        "Odd: strange",
    ),
    "its hook has a name that there is not": (
        """
        @hookimpl
        def genebench_metods():
            return []
        """,
        "genebench_metods",
    ),
    "its hook wants an argument that there is not": (
        """
        @hookimpl
        def genebench_methods(registry):
            return []
        """,
        "registry",
    ),
    "it declares a method of genebench's own": (
        """
        @hookimpl
        def genebench_methods():
            return [method(), method("train-mean")]
        """,
        "declares method 'train-mean', which plugin genebench.methods.controls declares already.",
    ),
    "it declares a method twice": (
        """
        @hookimpl
        def genebench_methods():
            return [method("twice"), method("twice")]
        """,
        "declares method 'twice', which plugin sick declares already. Rename it.",
    ),
    "it reads the files of a format of genebench's own": (
        """
        from genebench.specs import FormatSpec
        @hookimpl
        def genebench_formats():
            return [FormatSpec(name="mine", title="t", suffixes=(".mine", ".gct.gz"), reader="m:R")]
        """,
        "declares format 'mine' for files in .gct.gz, which plugin genebench.formats reads already",
    ),
    "it declares a malformed name": (
        """
        @hookimpl
        def genebench_methods():
            return [method("Sick Method")]
        """,
        "ValueError: method name 'Sick Method' is malformed",
    ),
    "it declares a name that is no text": (
        """
        @hookimpl
        def genebench_methods():
            return [method(3)]
        """,
        "Error: ",
    ),
    "it was written for another contract": (
        "genebench_contract = 2",
        "declares contract version 2. This genebench needs genebench_contract = 1.",
    ),
    "it declares no contract": (
        "del genebench_contract",
        "declares no contract version. This genebench needs genebench_contract = 1.",
    ),
    "its hook returns something that is no spec": (
        """
        @hookimpl
        def genebench_methods():
            return ["sick-method"]
        """,
        "returned 'sick-method', not a MethodSpec. Return only objects of MethodSpec.",
    ),
    "its hook returns a spec of another kind": (
        """
        @hookimpl
        def genebench_metrics():
            return [method()]
        """,
        "not a MetricSpec. Return only objects of MetricSpec.",
    ),
    "its hook returns a thing of many lines": (
        """
        class Wordy:
            def __repr__(self):
                return "one\\ntwo"
        @hookimpl
        def genebench_methods():
            return [Wordy()]
        """,
        "genebench_methods returned one two, not a MethodSpec. Return only objects of MethodSpec.",
    ),
    "its hook returns one spec and no list": (
        """
        @hookimpl
        def genebench_methods():
            return method()
        """,
        "TypeError: 'MethodSpec' object is not iterable",
    ),
}
"""What is wrong → source, and what the plugin's error says."""

OBSERVER = """
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
@hookimpl
def genebench_methods():
    return [MethodSpec(name="chatty", title="t", summary="s", code="nosy:Chatty")]
class Zero(Model):
    def __init__(self, targets):
        self.targets = targets
    def predict(self, landmarks):
        return landmarks[:, :1].repeat(self.targets, axis=1) * 0
class Chatty(Method):
    def fit(self, train, validation_sets, context):
        context.progress(1, 2, "half")
        return dict.fromkeys(validation_sets, Zero(len(train.target_genes)))
@hookimpl
def genebench_job_started(job):
    raise {error}("started badly")
@hookimpl
def genebench_job_progressed(done, total):
    raise {error}("progressed badly")
@hookimpl
def genebench_job_finished(records):
    raise {error}("finished badly")
"""


@pytest.mark.parametrize(("source", "error"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_set_aside_with_its_reason_and_all_others_work(install, source, error):
    before = methods(discover())
    install_sick(install, source)
    install("well", GOOD.format(name="well-method", module="well"))

    plugins = discover()

    sick = plugin(plugins, "sick")
    assert plugins.broken == [sick]
    assert error in sick.error
    assert "\n" not in sick.error
    assert sick.traceback.startswith("Traceback")
    assert sick.offers == {}
    assert methods(plugins) == [*before, "well-method"]


def test_the_traceback_of_a_broken_plugin_leads_to_its_own_line(install):
    site = install_sick(install, BROKEN["its hook raises"][0])
    traceback = plugin(discover(), "sick").traceback
    assert str(site / "sick.py") in traceback
    assert 'raise KeyError("lost")' in traceback


def test_a_method_and_a_metric_may_have_the_same_name(install):
    install_sick(
        install,
        """
        @hookimpl
        def genebench_methods():
            return [method("same")]
        @hookimpl
        def genebench_metrics():
            return [MetricSpec(name="same", title="t", summary="s", code="sick:f", unit="1",
                               direction="lower", best=0.0)]
        """,
    )
    assert discover().broken == []


def test_the_names_of_a_broken_plugin_are_free_for_others(install):
    install(
        "abroken",
        GOOD.format(name="wanted", module="abroken")
        + "@hookimpl\ndef genebench_metrics():\n    raise ValueError\n",
    )
    install("working", GOOD.format(name="wanted", module="working"))
    plugins = discover()
    assert [broken.name for broken in plugins.broken] == ["abroken"]
    assert Registry(plugins).methods.plugins["wanted"].name == "working"


def test_hooks_may_return_nothing(install):
    install_sick(install, "@hookimpl\ndef genebench_methods():\n    return None\n")
    assert discover().broken == []


def test_an_observer_of_a_broken_plugin_is_never_called(install):
    install_sick(
        install,
        """
        genebench_contract = 7
        @hookimpl
        def genebench_job_started(job):
            raise RuntimeError("called")
        """,
    )
    assert discover().notify("genebench_job_started", job=None) == []


def test_what_an_observer_raises_comes_back_as_one_line_naming_the_plugin(install):
    install_sick(
        install,
        """
        @hookimpl
        def genebench_job_started(job):
            raise RuntimeError("two\\nlines")
        """,
    )
    [complaint] = discover().notify("genebench_job_started", job=None)
    assert complaint == "plugin sick: genebench_job_started raised RuntimeError: two lines"


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit"])
def test_observers_that_raise_never_fail_a_run_and_are_logged(
    install, tiny, tmp_path, caplog, error
):
    install("nosy", OBSERVER.format(error=error))
    with caplog.at_level(logging.WARNING, "genebench"):
        results = run("chatty", "geo", "sim", preset="tiny", results=tmp_path / "results")
    assert {record.status for record in results.records} == {"done"}
    for hook in ("started", "progressed", "finished"):
        assert f"genebench_job_{hook} raised {error}: {hook} badly" in caplog.text


@pytest.mark.parametrize("value", ["1", "yes"])
def test_strict_makes_a_broken_plugin_the_users_error(install, monkeypatch, value):
    install_sick(install, "raise RuntimeError('no')")
    monkeypatch.setenv(STRICT, value)
    with pytest.raises(UserError, match=r"plugin sick is broken \(RuntimeError: no\)"):
        discover()


@pytest.mark.parametrize("value", ["", "0"])
def test_strict_can_be_switched_off(install, monkeypatch, value):
    install_sick(install, "raise RuntimeError('no')")
    monkeypatch.setenv(STRICT, value)
    assert len(discover().broken) == 1


def test_strict_has_nothing_to_say_when_all_plugins_work(monkeypatch):
    monkeypatch.setenv(STRICT, "1")
    assert discover().broken == []


def test_strict_ends_a_command_with_one_line_and_status_2(install, monkeypatch, genebench):
    install_sick(install, "raise RuntimeError('no')")
    monkeypatch.setenv(STRICT, "1")
    outcome = genebench("list", "methods")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert "plugin sick is broken" in outcome.err
    assert outcome.out == ""


def test_list_plugins_shows_the_traceback_on_request_only(install, genebench):
    install_sick(install, BROKEN["its hook raises"][0])
    plain, detailed = genebench("list", "plugins"), genebench("list", "plugins", "--traceback")
    assert plain.status == detailed.status == 0
    assert "broken: KeyError: 'lost'" in " ".join(plain.out.split())
    assert "Traceback" not in plain.out
    assert "Traceback" in detailed.out
    assert 'raise KeyError("lost")' in detailed.out


def test_a_fresh_process_lists_methods_and_tracebacks_beside_a_broken_plugin(install):
    site = install_sick(install, "raise SystemExit('bye')")
    listed = command(site, "list", "methods")
    assert listed.returncode == 0
    assert "train-mean" in listed.stdout
    explained = command(site, "list", "plugins", "--traceback")
    assert explained.returncode == 0
    assert "SystemExit: bye" in explained.stdout
    assert "Traceback" in explained.stdout


def test_a_strict_fresh_process_ends_with_status_2(install):
    site = install_sick(install, "raise SystemExit('bye')")
    ended = command(site, "list", "methods", GENEBENCH_STRICT_PLUGINS="1")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


LOOPS = {
    "at import": "while True: pass",
    "at import, an exception of any kind": """
        import time
        while True:
            try:
                time.sleep(60)
            except Exception:
                pass
        """,
    "in a hook": """
        @hookimpl
        def genebench_methods():
            while True: pass
        """,
    "in what a hook gives": """
        @hookimpl
        def genebench_metrics():
            while True:
                yield from ()
        """,
    "in its contract": """
        def __getattr__(name):
            while True: pass
        del genebench_contract
        """,
}


@pytest.mark.parametrize("source", LOOPS.values(), ids=LOOPS)
def test_a_plugin_that_loops_for_ever_is_set_aside_and_all_others_work(
    install, monkeypatch, source
):
    monkeypatch.setenv(LIMIT, "0.5")
    install_sick(install, source)
    install("well", GOOD.format(name="well-method", module="well"))
    plugins = discover()
    assert plugins.broken == [plugin(plugins, "sick")]
    assert plugin(plugins, "sick").error == OVERDUE
    assert "well-method" in methods(plugins)


def test_a_fresh_process_lists_what_there_is_beside_a_plugin_that_loops(install):
    site = install_sick(install, LOOPS["in a hook"])
    listed = command(site, "list", "plugins", "--json", **{LIMIT: "0.5"})
    assert listed.returncode == 0
    states = {row["name"]: row["state"] for row in json.loads(listed.stdout)}
    assert states["sick"] == f"broken: {OVERDUE}"
    assert states["genebench.methods.controls"] == "works"


def test_no_module_of_genebenchs_own_is_ever_too_slow(install, monkeypatch):
    monkeypatch.setenv(LIMIT, "1e-5")
    assert all(broken.distribution != "genebench" for broken in discover().broken)


def test_an_interrupt_while_plugins_are_loaded_is_the_users(install, genebench):
    install_sick(install, "import signal; signal.raise_signal(signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt):
        discover()
    outcome = genebench("list", "methods")
    assert (outcome.status, outcome.out) == (130, "")
    assert outcome.err.count("\n") == 1


COMMANDS = """
from genebench import hookimpl
genebench_contract = 1

def use(thing: type(hookimpl)):
    pass

@hookimpl
def genebench_commands(app):
    {does}
"""


@pytest.mark.parametrize(
    ("does", "complaint"),
    [
        ("while True: pass", OVERDUE),
        ("raise SystemExit(3)", "genebench_commands raised SystemExit: 3"),
        ("print('hello')", "hello"),
        ("app.command()(use)", "genebench_commands raised RuntimeError: Type not yet supported"),
        ("app.command(name='run')(lambda: 1)", "adds the command 'run', which exists already"),
    ],
)
def test_no_plugin_spoils_the_commands_of_others(install, does, complaint):
    site = install("sick", COMMANDS.format(does=does))
    install("well", COMMANDS.format(does="app.command(name='well')(lambda: print('fine'))"))
    # Only one needs a limit. On a busy machine, a short one stops sound plugins too.
    ended = command(site, "well", **({LIMIT: "0.5"} if complaint == OVERDUE else {}))
    assert (ended.returncode, ended.stdout) == (0, "fine\n")
    assert ended.stderr.count("\n") == 1
    assert complaint in ended.stderr


GARBAGE = {
    "as text": "print('garbage')",
    "for ever, too": "while True: print('garbage')",
    "past sys": "import os; os.write(1, b'garbage')",
    "from another process": "import os; os.system('echo garbage')",
    "to the first stream": "import sys; print('garbage', file=sys.__stdout__)",
    "then closes": "import sys; print('garbage'); sys.stdout.close(); sys.stderr.close()",
    "then closes the first": "import sys; sys.__stdout__.close(); sys.__stderr__.close()",
    "then closes files": "import os; os.close(1); os.close(2)",
    "then replaces": "import io, sys; sys.stdout = sys.stderr = sys.__stdout__ = io.StringIO()",
    "then deletes": "import sys; del sys.stdout, sys.stderr",
}


@pytest.mark.parametrize("source", GARBAGE.values(), ids=GARBAGE)
def test_the_result_arrives_if_the_output_is_tampered_with_at_import(install, source):
    site = install_sick(install, f"{source}\n")
    listed = command(site, "list", "plugins", "--json", **{LIMIT: "0.5"})
    assert {row["name"] for row in json.loads(listed.stdout)} >= {
        "sick",
        "genebench.methods.controls",
    }
    refused = command(site, "list", "nonsense", **{LIMIT: "0.5"})
    assert refused.returncode == 2
    assert "nonsense" in refused.stderr


def test_what_a_plugin_prints_when_it_is_listed_spoils_no_output(install, genebench):
    install_sick(install, "print('\\x1b[31mhello', end='')")
    outcome = genebench("list", "plugins", "--json")
    assert {row["name"] for row in json.loads(outcome.out)} >= {"sick"}
    assert outcome.err == "�[31mhello\n"
