"""Plugins: whatever one does wrong costs the user that plugin and nothing else."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from genebench._util.files import sha256_of
from genebench.api import run
from genebench.errors import UserError
from genebench.plugins.discovery import discover, installed, use_files
from genebench.plugins.files import FILES
from genebench.plugins.manager import STRICT
from genebench.plugins.registry import Registry, registry
from genebench.plugins.time_limit import LIMIT

GOOD = """
from genebench import hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
@hookimpl
def genebench_methods():
    return [MethodSpec(name={name!r}, title="t", summary="s", code="{module}:M")]
"""

START = """
from genebench import hookimpl
from genebench.specs import MethodSpec, MetricSpec
genebench_contract = 1
def method(name="sick-method"):
    return MethodSpec(name=name, title="t", summary="s", code="sick:M")
"""

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
        "declares method 'train-mean', which plugin genebench.methods.controls declares already. Rename it.",
    ),
    "it declares a method twice": (
        """
        @hookimpl
        def genebench_methods():
            return [method("twice"), method("twice")]
        """,
        "declares method 'twice', which plugin sick declares already. Rename it.",
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
        "genebench_methods returned 'sick-method', not a MethodSpec",
    ),
    "its hook returns a spec of another kind": (
        """
        @hookimpl
        def genebench_metrics():
            return [method()]
        """,
        "not a MetricSpec",
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
        "genebench_methods returned one two, not a MethodSpec",
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


@pytest.fixture(autouse=True)
def _clean_slate(tmp_path, monkeypatch):
    """Plugins are discovered anew in each test; what they imported is forgotten after it."""
    monkeypatch.delenv(STRICT, raising=False)
    installed.cache_clear()
    registry.cache_clear()
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    installed.cache_clear()
    registry.cache_clear()


def plugin(discovered, name):
    return next(found for found in discovered.all if found.name == name)


def methods(discovered):
    return [spec.name for spec, _ in discovered.specs("methods")]


def install_sick(install, source):
    return install("sick", START + dedent(source))


def command(site, *arguments, **environment):
    """The command line in a process of its own, with ``site`` among its packages."""
    return subprocess.run(
        [sys.executable, "-c", "from genebench.cli import main; main()", *arguments],
        env=os.environ | {"PYTHONPATH": str(site)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_plugin_is_found_and_its_methods_offered(install):
    install("good", GOOD.format(name="good-method", module="good"))
    found = discover()
    assert plugin(found, "good").error == ""
    assert "good-method" in methods(found)


def test_a_plugin_is_described_by_its_distribution_and_version(install):
    install("good", GOOD.format(name="good-method", module="good"), version="2.5", point="alias")
    described = plugin(discover(), "alias")
    assert (described.distribution, described.version) == ("good", "2.5")


def test_built_ins_register_through_the_same_hooks_and_all_work():
    assert discover().broken == []


@pytest.mark.parametrize(("source", "error"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_set_aside_with_its_reason_and_all_others_work(install, source, error):
    before = methods(discover())
    install_sick(install, source)
    install("well", GOOD.format(name="well-method", module="well"))

    found = discover()

    sick = plugin(found, "sick")
    assert found.broken == [sick]
    assert error in sick.error
    assert "\n" not in sick.error
    assert sick.traceback.startswith("Traceback")
    assert sick.offers == {}
    assert methods(found) == [*before, "well-method"]


def test_the_traceback_of_a_broken_plugin_leads_to_its_own_line(install):
    site = install_sick(install, BROKEN["its hook raises"][0])
    traceback = plugin(discover(), "sick").traceback
    assert str(site / "sick.py") in traceback
    assert 'raise KeyError("lost")' in traceback


def test_the_first_plugin_by_name_keeps_a_name_that_two_declare(install):
    install("second", GOOD.format(name="wanted", module="second"))
    install("first", GOOD.format(name="wanted", module="first"))
    found = discover()
    assert Registry(found).methods.plugins["wanted"].name == "first"
    assert plugin(found, "second").error == (
        "declares method 'wanted', which plugin first declares already. Rename it."
    )


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
    found = discover()
    assert [broken.name for broken in found.broken] == ["abroken"]
    assert Registry(found).methods.plugins["wanted"].name == "working"


def test_of_two_distributions_with_one_entry_point_name_the_first_stays(install):
    install("one", GOOD.format(name="one-method", module="one"), point="same")
    install("two", GOOD.format(name="two-method", module="two"), point="same")
    found = discover()
    assert [broken.distribution for broken in found.broken] == ["two"]
    assert "one-method" in methods(found)
    assert "two-method" not in methods(found)


def test_a_taken_entry_point_name_is_explained_in_a_readable_line(install):
    install("one", GOOD.format(name="one-method", module="one"), point="same")
    install("two", GOOD.format(name="two-method", module="two"), point="same")
    [broken] = discover().broken
    assert "same" in broken.error
    assert len(broken.error) < 200


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


# --- plugins that hold up, interrupt or shout ---------------------------------------------------

LOOPS = {
    "at import": "while True: pass",
    "at import, whatever is raised": """
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
OVERDUE = f"took more than 0.5 s to load. Set {LIMIT} to allow more seconds."


@pytest.mark.parametrize("source", LOOPS.values(), ids=LOOPS)
def test_a_plugin_that_loops_for_ever_is_set_aside_and_all_others_work(
    install, monkeypatch, source
):
    monkeypatch.setenv(LIMIT, "0.5")
    install_sick(install, source)
    install("well", GOOD.format(name="well-method", module="well"))
    found = discover()
    assert found.broken == [plugin(found, "sick")]
    assert plugin(found, "sick").error == OVERDUE
    assert "well-method" in methods(found)


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
        ("app.command(name='run')(lambda: 1)", "adds the command 'run', which exists already. Rename it."),
    ],
)
def test_no_plugin_spoils_the_commands_of_others(install, does, complaint):
    site = install("sick", COMMANDS.format(does=does))
    install("well", COMMANDS.format(does="app.command(name='well')(lambda: print('fine'))"))
    ended = command(site, "well", **{LIMIT: "0.5"})
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
def test_whatever_is_done_to_the_output_at_import_the_result_arrives(install, source):
    site = install_sick(install, f"{source}\n")
    listed = command(site, "list", "plugins", "--json", **{LIMIT: "0.5"})
    assert {row["name"] for row in json.loads(listed.stdout)} >= {
        "sick",
        "genebench.methods.controls",
    }
    refused = command(site, "list", "nonsense", **{LIMIT: "0.5"})
    assert refused.returncode == 2
    assert "nonsense" in refused.stderr


# --- local plugin files ---------------------------------------------------------------------------

LOCAL = """
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
@hookimpl
def genebench_methods():
    return [MethodSpec(name="local", title="t", summary="s", code="mymethod:Local")]
class Level(Model):
    n_parameters = 1
    def __init__(self, targets):
        self.targets = targets
    def predict(self, landmarks):
        return landmarks[:, :1].repeat(self.targets, axis=1) * 0 + LEVEL
class Local(Method):
    def fit(self, train, validation_sets, context):
        return dict.fromkeys(validation_sets, Level(len(train.target_genes)))
LEVEL = 0.5
"""


@pytest.fixture
def local(tmp_path, monkeypatch):
    """A plugin file, not yet named to anyone."""
    monkeypatch.setenv(FILES, "")
    path = tmp_path / "mymethod.py"
    path.write_text(LOCAL)
    return path


def test_a_local_file_is_a_plugin_like_any_other(local, genebench):
    listed = genebench("list", "methods", "--plugin", local)
    assert listed.status == 0
    assert f"mymethod.py {sha256_of(local)[:12]}" in listed.out
    assert genebench("show", "local", "--plugin", local).out.startswith("local: s")


def test_a_record_of_a_local_file_says_so_and_names_its_content(local, tiny, tmp_path):
    use_files([local])
    [record] = [
        record
        for record in run("local", "geo", preset="tiny", results=tmp_path / "results").records
        if record.identity.method == "local"
    ]
    origin = record.provenance.plugins["mymethod.py"]
    assert (origin.install, origin.digest) == ("file", sha256_of(local))
    assert record.provenance.versions["mymethod.py"] == origin.version
    assert record.model_parameters == 1


def test_an_edited_local_file_gives_another_key_and_its_new_results(local, tiny, tmp_path):
    found = []
    for level in ("0.5", "0.25"):  # same length, same second: nothing stale may be taken
        local.write_text(LOCAL.replace("LEVEL = 0.5", f"LEVEL = {level}"))
        use_files([local])
        registry.cache_clear()
        records = run("local", "geo", preset="tiny", results=tmp_path / "results").records
        found += [record for record in records if record.identity.method == "local"]
    assert found[0].key != found[1].key
    assert found[0].scores["mae"] != found[1].scores["mae"]
    assert not (local.parent / "__pycache__").exists()


def test_a_child_process_loads_the_same_files(local):
    use_files([local])
    listed = command("", "list", "methods")
    assert "mymethod.py" in listed.stdout


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import os\nraise OSError('no\\nway')", "mymethod.py, line 2: OSError: no way"),
        ("def broken(:", "mymethod.py, line 1: SyntaxError"),
        ("pass", "mymethod.py: declares no contract version"),
        (LOCAL.replace('"local"', '"train-mean"'), "declares method 'train-mean', which"),
    ],
)
def test_a_broken_local_file_is_the_users_error_in_one_line(local, genebench, source, error):
    local.write_text(source)
    outcome = genebench("list", "methods", "--plugin", local)
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert error in outcome.err
    assert genebench("list", "methods").status == 0


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("absent.py", "there is no such file"),
        ("my-method.py", "this is not the name of a Python module. Rename the file"),
        ("class.py", "this is not the name of a Python module. Rename the file"),
        ("method.txt", "this is not the name of a Python module. Rename the file"),
        ("numpy.py", "there is a module 'numpy' already"),
        ("json.py", "there is a module 'json' already"),
    ],
)
def test_a_file_that_cannot_be_imported_under_its_name_is_refused(local, genebench, name, error):
    path = local.with_name(name)
    if name != "absent.py":
        path.write_text(LOCAL)
    outcome = genebench("list", "methods", "--plugin", path)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert error in outcome.err


def test_a_local_file_that_loops_is_an_error_with_its_line(local, genebench, monkeypatch):
    monkeypatch.setenv(LIMIT, "0.5")
    local.write_text("x = 1\nwhile True: x = 2\n")
    outcome = genebench("list", "methods", "--plugin", local)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert f"mymethod.py, line 2: {OVERDUE}" in outcome.err


def test_a_local_file_may_be_named_twice_and_beside_others(local, genebench):
    other = local.with_name("other.py")
    other.write_text(LOCAL.replace('"local"', '"further"').replace("mymethod:", "other:"))
    use_files([local])
    outcome = genebench("list", "methods", "--plugin", local, "--plugin", other)
    assert outcome.status == 0
    assert outcome.out.count("mymethod.py") == 1
    assert "further" in outcome.out


def test_what_a_plugin_prints_when_it_is_listed_spoils_no_output(install, genebench):
    install_sick(install, "print('\\x1b[31mhello', end='')")
    outcome = genebench("list", "plugins", "--json")
    assert {row["name"] for row in json.loads(outcome.out)} >= {"sick"}
    assert outcome.err == "�[31mhello\n"
