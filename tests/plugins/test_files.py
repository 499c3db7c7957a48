"""Local plugin files: plugins like any other, and errors if they are broken."""

from __future__ import annotations

import pytest
from sample_plugins import OVERDUE, command

from genebench._util.files import sha256_of
from genebench._util.hashing import digest_of_sources
from genebench.api import run
from genebench.plugins.discovery import use_files
from genebench.plugins.files import FILES, file_plugin
from genebench.plugins.registry import registry
from genebench.plugins.time_limit import LIMIT

pytestmark = pytest.mark.usefixtures("fresh_plugins")


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
    version = digest_of_sources([("mymethod", local.read_bytes())])[:12]
    assert f"mymethod.py {version}" in listed.out
    assert genebench("show", "local", "--plugin", local).out.startswith("local: s")


def test_a_comment_leaves_the_version_of_a_local_file_as_it_is(local):
    before = file_plugin(local)
    local.write_text(f"# A remark.\n{LOCAL}")
    after = file_plugin(local)
    assert (after.version, after.digest != before.digest) == (before.version, True)
    local.write_text(LOCAL.replace("return", "return 0 or", 1))
    assert file_plugin(local).version != before.version


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
    local_records = []
    for level in ("0.5", "0.25"):  # same length, same second: nothing stale may be taken
        local.write_text(LOCAL.replace("LEVEL = 0.5", f"LEVEL = {level}"))
        use_files([local])
        registry.cache_clear()
        records = run("local", "geo", preset="tiny", results=tmp_path / "results").records
        local_records += [record for record in records if record.identity.method == "local"]
    assert local_records[0].key != local_records[1].key
    assert local_records[0].scores["mae"] != local_records[1].scores["mae"]
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
