"""``genebench new``: a package that works before a line of it is changed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml

KINDS = ("method", "dataset", "metric", "protocol")


@pytest.fixture
def new(genebench, tmp_path):
    """Return a function that writes a package, and returns its folder."""

    def make(kind, name):
        outcome = genebench("new", kind, name, "--out", tmp_path / "out")
        assert outcome.status == 0, outcome.err
        folder = tmp_path / "out" / f"genebench-{name}"
        assert str(folder) in outcome.out
        return folder

    return make


def in_process(folder, *words, site):
    """Run Python where a site folder can be imported from."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def built(folder, site):
    """Build the package's wheel, and unpack it as an installer does."""
    done = in_process(folder, "-m", "build", "--wheel", "--no-isolation", ".", site="")
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


@pytest.mark.parametrize(
    ("kind", "listed"), [("method", "methods"), ("dataset", "datasets"), ("metric", "metrics")]
)
def test_a_new_package_is_built_is_listed_at_once_and_passes_its_own_tests(
    new, tmp_path, kind, listed
):
    site = tmp_path / "site"
    folder = new(kind, "brand-new")
    built(folder, site)
    shown = in_process(tmp_path, "-m", "genebench", "list", listed, site=site)
    # A narrow column has the version below the name.
    assert "genebench-brand-new" in shown.stdout
    # The conformance checks of a method take a while; a group of them shows that they are there.
    chosen = ["-k", "not conforms or spec"] if kind == "method" else []
    tests = in_process(
        folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *chosen, site=site
    )
    assert tests.returncode == 0, tests.stdout
    assert " passed" in tests.stdout


def test_a_new_method_runs_and_is_as_good_as_ridge(new, tmp_path):
    site = tmp_path / "site"
    built(new("method", "brand-new"), site)
    code = (
        "import genebench; records = genebench.run('brand-new,lsr-l2', 'geo', preset='tiny',"
        "params={'brand-new': {'penalties': 29}}).records;"
        "print({r.identity.method: (r.scores['mae']['all'].mean, r.model_parameters,"
        " r.provenance.plugins[r.identity.code.distribution].install) for r in records})"
    )
    done = in_process(tmp_path, "-c", code, site=site)
    assert done.returncode == 0, done.stderr
    found = ast.literal_eval(done.stdout)
    assert found["brand-new"][0] == pytest.approx(found["lsr-l2"][0], abs=0.01)
    assert found["brand-new"][0] < 0.7 * found["train-mean"][0]
    assert found["brand-new"][1:] == (32 * 160 + 160, "wheel")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a", "brand-new-2", "2fold", "model", "method", "any"])
def test_whatever_its_name_a_package_is_sound_python(new, kind, name):
    folder = new(kind, name)
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        defined = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        imported = [
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        assert not set(defined) & set(imported)
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == folder.name
    [package] = project["entry-points"]["genebench"].values()
    assert (folder / package / "__init__.py").exists()
    assert (folder / package / "py.typed").exists()
    assert (folder / "tests" / f"test_{package}.py").exists()
    texts = [
        path.read_text("utf-8")
        for path in folder.rglob("*.*")
        if path.is_file() and ".github" not in path.parts  # where workflows have expressions
    ]
    assert "$" not in "".join(texts)


@pytest.mark.parametrize("kind", KINDS)
def test_templates_meet_the_lint_that_genebench_itself_meets(new, kind, request):
    folder = new(kind, "brand-new")
    rules = "ANN001,ANN201,ANN202,D102,D103,ARG,S101,PLR2004,INP001,I001"
    config = request.config.rootpath / "pyproject.toml"
    for words in (["check", "--extend-ignore", rules], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "--config", config, folder],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("kind", "name", "error"),
    [
        ("method", "lsr", "there is a method 'lsr' already, in genebench-linear"),
        ("dataset", "sim", "there is a dataset 'sim' already, in genebench"),
        ("protocol", "geo", "there is a protocol 'geo' already, in genebench"),
        ("protocol", "x" * 21, "up to 20 letters"),
        ("metric", "mae", "there is a metric 'mae' already, in genebench"),
        ("metric", "linear", "there is a plugin 'linear' already"),
        ("method", "class", "is a word of Python"),
        ("method", "none", "is a word of Python"),
        ("method", "My_Method", "Did you mean my-method?"),
        ("method", "all", "is malformed"),
        ("method", "../up", "is malformed"),
        ("method", "x" * 41, "is malformed"),
        ("plugin", "x", "unknown kind of plugin 'plugin'"),
    ],
)
def test_a_name_that_would_clash_or_is_none_is_refused_and_nothing_is_written(
    genebench, tmp_path, kind, name, error
):
    outcome = genebench("new", kind, name, "--out", tmp_path / "out")
    assert outcome.status == 2
    assert error in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_installed_or_can_be_imported_is_not_written_again(install, genebench, tmp_path):
    site = install("genebench_taken", "")
    outcome = genebench("new", "method", "taken", "--out", tmp_path)
    assert "there is a package genebench_taken already" in outcome.err
    (site / "genebench_taken.py").unlink()
    (site / "genebench_taken-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: genebench-taken\nVersion: 1.0\n"
    )
    outcome = genebench("new", "method", "taken", "--out", tmp_path)
    assert "genebench-taken is installed already" in outcome.err


def test_a_folder_that_exists_is_left_alone(genebench, tmp_path):
    (tmp_path / "genebench-mine").mkdir()
    outcome = genebench("new", "method", "mine", "--out", tmp_path)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "exists already" in outcome.err
    assert list((tmp_path / "genebench-mine").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(genebench, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = genebench("new", "method", "mine", "--out", tmp_path / "file")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "--out" in outcome.err


def test_nothing_is_asked_and_the_current_folder_is_the_default(genebench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert genebench("new", "metric", "mine").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["genebench-mine"]


def test_a_second_plugin_goes_into_the_same_package_with_its_own_tests(new, genebench, tmp_path):
    folder, site = new("method", "brand-new"), tmp_path / "site"
    outcome = genebench("new", "method", "brand-newer", "--into", folder)
    assert outcome.status == 0, outcome.err
    assert genebench("new", "metric", "sameness", "--into", folder).status == 0
    points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["genebench"] == {
        "sameness": "genebench_brand_new.sameness",
        "brand-newer": "genebench_brand_new.brand_newer",
        "brand-new": "genebench_brand_new",
    }
    built(folder, site)
    listed = in_process(tmp_path, "-m", "genebench", "list", "methods", site=site).stdout
    assert "brand-newer" in listed
    tests = in_process(
        folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not conforms",
        site=site,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout


def inputs_of_ci(folder):
    """Return the inputs of the action in a package's workflow."""
    workflow = yaml.safe_load((folder / ".github" / "workflows" / "genebench.yml").read_text())
    return workflow["jobs"]["check"]["steps"][-1]["with"]


def test_the_ci_of_a_package_names_each_plugin_that_is_added(new, genebench):
    folder = new("method", "brand-new")
    workflow = folder / ".github" / "workflows" / "genebench.yml"
    before = inputs_of_ci(folder)
    for kind, name in (
        ("method", "other"),
        ("protocol", "split"),
        ("metric", "a"),
        ("metric", "b"),
    ):
        outcome = genebench("new", kind, name, "--into", folder)
        assert str(workflow) in outcome.out
    after = before | {
        "checks": "brand-new other split", "methods": "brand-new other",
        "protocols": "geo,gtex,split", "metrics": "mae,cc,a,b",
    }  # fmt: skip
    assert inputs_of_ci(folder) == after
    # A run is on one dataset.
    said = genebench("new", "dataset", "data", "--into", folder).out
    assert f"{workflow} runs on one dataset. To run on data, change `dataset` there." in said
    assert inputs_of_ci(folder) == after


AUTHORS = """# methods: a
jobs:
  check:
    env:
      methods: b
    steps:
      - run: make
        env:
          methods: c
      - name: Check
        uses: me/genebench/.github/actions/check-plugin@v1
        with:
          package: .
          methods: {methods}
          python: ['3.11']
"""


@pytest.mark.parametrize(
    ("methods", "extended"),
    [
        ("brand-new", '"brand-new other"'),
        ("'brand-new'  # ours", '"brand-new other"  # ours'),
        ('""', '"other"'),
        ("[a, b]", None),
        (">-\n            a b", None),
        ("a\n            b", None),
        ("*names", None),
    ],
)
def test_a_workflow_of_the_authors_is_changed_in_its_list_only(new, genebench, methods, extended):
    folder = new("method", "brand-new")
    workflow = folder / ".github" / "workflows" / "genebench.yml"
    workflow.write_text(AUTHORS.format(methods=methods))
    done = genebench("new", "method", "other", "--into", folder)
    assert done.status == 0, done.err
    assert workflow.read_text() == AUTHORS.format(methods=extended or methods)
    assert (f"Add other to `methods` in {workflow}." in done.out) is (extended is None)
    assert "`checks`" not in done.out  # without it, the action checks the methods
    said = genebench("new", "metric", "m", "--into", folder).out
    assert f"Add m to `metrics` in {workflow}." in said


def test_a_workflow_without_the_action_is_left_to_its_author(new, genebench):
    folder = new("method", "brand-new")
    workflow = folder / ".github" / "workflows" / "genebench.yml"
    workflow.write_text("env:\n  methods: brand-new\n")
    said = genebench("new", "method", "other", "--into", folder).out
    assert workflow.read_text() == "env:\n  methods: brand-new\n"
    assert f"Add other to `methods` in {workflow}." in said
    workflow.unlink()
    done = genebench("new", "method", "more", "--into", folder)
    assert done.status == 0
    assert "`methods`" not in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lsr",), "there is a method 'lsr' already"),
        (("brand-newer", "--out", "x"), "Choose one"),
        (("brand-new-er",), "no package with a line [project.entry-points.genebench]"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(
    new, genebench, tmp_path, arguments, message
):
    folder = new("method", "brand-new")
    if "Choose one" not in message and "already" not in message:
        (folder / "pyproject.toml").write_text("[project]\n")
    before = sorted(path for path in folder.rglob("*"))
    outcome = genebench("new", "method", *arguments, "--into", folder)
    assert outcome.status == 2
    assert message in outcome.err
    assert sorted(path for path in folder.rglob("*")) == before


def points(folder):
    """Return the entry points of a package's plugins."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return project["entry-points"]["genebench"]


def test_a_name_with_a_dot_is_one_entry_point(genebench, tmp_path):
    assert genebench("new", "method", "five.six", "--out", tmp_path).status == 0
    folder = tmp_path / "genebench-five-six"
    for name in ("se.ven", "eight"):
        assert genebench("new", "metric", name, "--into", folder).status == 0
    assert points(folder) == {
        "five.six": "genebench_five_six",
        "se.ven": "genebench_five_six.se_ven",
        "eight": "genebench_five_six.eight",
    }


def test_a_further_plugin_keeps_the_line_ends_of_files(new, genebench):
    folder = new("method", "one")
    files = [folder / "pyproject.toml", folder / ".github" / "workflows" / "genebench.yml"]
    for path in files:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert genebench("new", "metric", "two", "--into", folder).status == 0
    for path in files:
        content = path.read_bytes()
        assert b"two" in content
        assert content.count(b"\n") == content.count(b"\r\n")


def test_a_workflow_that_is_no_text_stops_before_anything_is_written(new, genebench):
    folder = new("method", "one")
    (folder / ".github" / "workflows" / "genebench.yml").write_bytes(b"\xff\xfe\0")
    before = sorted(folder.rglob("*"))
    outcome = genebench("new", "metric", "two", "--into", folder)
    assert outcome.status == 2
    assert "genebench.yml is not text in UTF-8. Save it as UTF-8." in outcome.err
    assert sorted(folder.rglob("*")) == before
