"""Generator of packages for new plugins. They work before a line of them is changed.

The templates are the files below this folder whose names end in ``.tmpl``. The word ``package`` in
their paths and placeholders such as ``$name`` in their text are replaced.
"""

from __future__ import annotations

import keyword
import re
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Literal, NamedTuple

from genebench._util.files import atomic_write, user_errors
from genebench.data.home import prepared_titles
from genebench.errors import UserError
from genebench.hookspecs import DISTRIBUTION
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry
from genebench.specs import MOST_LETTERS_WITH_FOLDS, check_name

Kind = Literal["method", "dataset", "metric", "protocol"]

_TEMPLATE_FOLDER = Path(__file__).parent
_TEMPLATE_SUFFIX = ".tmpl"
_ENTRY_POINTS = "[project.entry-points.genebench]"
_SUMMARY: dict[Kind, str] = {
    "method": "ridge regression with a penalty chosen by validation",
    "dataset": "simulated expression around common factors",
    "metric": "share of profiles predicted on the right side of the mean",
    "protocol": "five folds of whole donors within GTEx",
}
_DEPENDENCIES: dict[Kind, str] = {
    "method": '"numpy>=2.0"',
    "dataset": '"numpy>=2.0", "pandas>=2.2.2"',
    "metric": '"numpy>=2.0"',
    "protocol": "",
}
_USUAL = {
    "checks": "", "methods": "train-mean", "protocols": "geo,gtex", "metrics": "", "dataset": "sim",
}  # fmt: skip
"""Input of the action in a package's CI → its value, where the package offers nothing for it."""
_OWN: dict[Kind, tuple[str, ...]] = {
    "method": ("checks", "methods"),
    "dataset": ("dataset",),
    "metric": ("metrics",),
    "protocol": ("checks", "protocols"),
}
"""Kind → the inputs of that action that name a plugin of this kind."""
_SEPARATORS = {"checks": " ", "methods": " ", "protocols": ",", "metrics": ","}
"""Input of that action → the character between its names. A dataset is one."""
_USUAL_METRICS = "mae,cc"
"""Metrics that an empty input stands for."""
_ACTION = re.compile(r"""( *(?:- +)?)uses: *["']?[^\s"']*check-plugin\b""")
"""Line of the step that uses the action. The group is as wide as the column of the step's keys."""
_KEY = re.compile(r"(?P<key> *(?P<name>\w+):)(?: +(?P<value>.*?))?(?P<rest>(?: +#.*)?\s*)")
"""Line of a workflow with a key, its value and a comment."""
_SCALAR = re.compile(r"""(["'])(?P<quoted>[^"'\\]*)\1|(?P<plain>(?:\w[\w., -]*)?)""")
"""Value that is whole on one line: in quotes, or plain words."""
_WORKFLOW = Path(".github", "workflows", "genebench.yml")
_IMPORTED = {"Any", "Context", "Mapping", "Method", "Model", "Moments", "Profiles"}
"""Names that the templates import. A class with such a name would hide the import."""


class Added(NamedTuple):
    """What :func:`add` has done."""

    files: list[Path]
    """The files written."""
    remarks: list[str]
    """What is left to the author: a line for each change of the workflow that was not made."""


def create(kind: Kind, name: str, parent: Path) -> Path:
    """Write a package for a new plugin to a new folder in ``parent``, and return the folder.

    Raises:
        UserError: the name is malformed or taken, the folder exists, or nothing can be written.
    """
    _check_name(kind, name)
    words = _words(kind, name)
    folder = parent / words["distribution"]
    _check_free(kind, name, words, folder)
    with user_errors(parent, "Name another folder with --out."):
        parent.mkdir(parents=True, exist_ok=True)
        # Renamed at the end, so that the folder is written whole or not at all.
        with tempfile.TemporaryDirectory(prefix=".genebench-new-", dir=parent) as temporary:
            draft = Path(temporary) / folder.name
            for path, text in _files(kind, words):
                target = draft / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, "utf-8")
            draft.rename(folder)
    return folder


def add(kind: Kind, name: str, folder: Path) -> Added:
    """Write a further plugin into the folder of an existing package.

    The plugin is a module of the package, with its tests and its entry point in ``pyproject.toml``.
    The workflow of the package's CI names it, too, where its inputs are written on one line.

    Raises:
        UserError: the name is malformed or taken, the folder has no package of plugins, or nothing
            can be written.
    """
    _check_name(kind, name)
    project = folder / "pyproject.toml"
    package = _package_in(project)
    module = "_".join(re.split(r"[.-]", name))
    if module[0].isdigit():
        module = f"{kind}_{module}"
    words = _words(kind, name) | {"package": f"{package}.{module}"}
    _check_offered(kind, name)
    workflow = folder / _WORKFLOW
    before = _text_of(workflow) if workflow.is_file() else ""
    with user_errors(folder, "Make the folder writable."):
        content = {
            folder
            / path.replace("package/", f"{package}/{module}/").replace(
                "test_package", f"test_{package}_{module}"
            ): text
            for path, text in _rendered(_TEMPLATE_FOLDER / kind, words)
            # The files around the package, such as its README and its CI, are there.
            if path.startswith(("package/", "tests/"))
        }
        for path in content:
            if path.exists():
                raise UserError(f"{path} exists already. Remove it, or choose another name.")
        for path, text in content.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        added = Added([*content, project], [])
        if before:
            extended, left = _extended(before, kind, name)
            if extended != before:
                with atomic_write(workflow) as stream:
                    stream.write(extended.encode())
                added.files.append(workflow)
            added.remarks.extend(f"Add {name} to `{key}` in {workflow}." for key in left)
            if kind == "dataset":
                added.remarks.append(
                    f"{workflow} runs on one dataset. To run on {name}, change `dataset` there."
                )
        # Last, so that a plugin that is declared is there.
        text = _text_of(project)
        end = "\r\n" if f"{_ENTRY_POINTS}\r\n" in text else "\n"
        declared = f'{_ENTRY_POINTS}{end}{_toml_key(name)} = "{package}.{module}"'
        text = text.replace(_ENTRY_POINTS, declared, 1)
        with atomic_write(project) as stream:
            stream.write(text.encode())
    return added


def _extended(workflow: str, kind: Kind, name: str) -> tuple[str, list[str]]:
    """Add a plugin to the inputs of the action in a workflow.

    Returns:
        The workflow, and the inputs that have to be changed by hand.
    """
    lines = workflow.splitlines(keepends=True)
    inputs = _inputs_of_action(lines)
    texts = {key: given.text for key, given in inputs.items()}
    # What an empty input stands for. A list with one more name has to name it.
    usual = {"checks": texts.get("methods"), "metrics": _USUAL_METRICS}
    left = []
    for key in _OWN[kind]:
        if key not in _SEPARATORS:
            continue  # A dataset is run alone, so the one that is there stays.
        if (text := texts.get(key)) is not None:
            given = inputs[key]
            names = _SEPARATORS[key].join(filter(None, (text or usual.get(key), name)))
            lines[given.number] = f'{given.line["key"]} "{names}"{given.line["rest"]}'
        # Without `checks`, the action checks the methods.
        elif key in inputs or not inputs or (kind, key) != ("method", "checks"):
            left.append(key)
    return "".join(lines), left


class _Input(NamedTuple):
    """An input of the action in a workflow."""

    number: int
    """The number of its line."""
    line: re.Match[str]
    """The parts of that line."""
    text: str | None
    """Its value. None for a value of another form than text on one line."""


def _inputs_of_action(lines: list[str]) -> dict[str, _Input]:
    """Return the inputs that a workflow gives to the action, if one step uses it."""
    code = [
        (number, line)
        for number, line in enumerate(lines)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    uses = [
        (place, found) for place, (_, line) in enumerate(code) if (found := _ACTION.match(line))
    ]
    if len(uses) != 1:
        return {}
    [(place, found)] = uses
    column, within, inner = len(found[1]), False, 0
    inputs: dict[str, _Input] = {}
    for (number, line), (_, following) in pairwise([*code[place + 1 :], (0, "")]):
        depth = _depth(line)
        if depth < column:
            break
        if depth == column:
            within, inner = line.strip().startswith("with:"), _depth(following)
        elif within and depth == inner and (key := _KEY.fullmatch(line)):
            scalar = _SCALAR.fullmatch(key["value"] or "")
            # A value may go on in deeper lines.
            text = None
            if scalar and _depth(following) <= depth:
                text = scalar["quoted"] or scalar["plain"] or ""
            inputs[key["name"]] = _Input(number, key, text)
    return inputs


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _text_of(path: Path) -> str:
    """Return the text of a file with the line ends that it has.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text in UTF-8. Save it as UTF-8.") from None


def _toml_key(name: str) -> str:
    """Return a name as a key of TOML, in which a bare dot would nest tables."""
    return f'"{name}"' if "." in name else name


def _package_in(project: Path) -> str:
    """Return the package that a project declares its first plugin in.

    Raises:
        UserError: there is none.
    """
    with user_errors(project, "Name the folder of a package with --into.", trouble="cannot read"):
        text = _text_of(project)
    try:
        points = tomllib.loads(text)["project"]["entry-points"]["genebench"]
        package = str(next(iter(points.values()))).partition(":")[0].partition(".")[0]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, StopIteration):
        package = ""
    if not (project.parent / package / "__init__.py").is_file() or _ENTRY_POINTS not in text:
        raise UserError(
            f"{project}: no package with a line {_ENTRY_POINTS} and plugins beside it. Name the "
            "folder of one that genebench new has written."
        )
    return package


def _files(kind: Kind, words: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file of a new package."""
    for root in (_TEMPLATE_FOLDER / "common", _TEMPLATE_FOLDER / kind):
        for path, text in _rendered(root, words):
            yield path.replace("package", words["package"]), text


def _rendered(root: Path, words: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the path of each template below a folder, and its text with the words in place."""
    for template in sorted(root.rglob(f"*{_TEMPLATE_SUFFIX}")):
        path = template.relative_to(root).as_posix().removesuffix(_TEMPLATE_SUFFIX)
        yield path, Template(template.read_text("utf-8")).substitute(words)


def _words(kind: Kind, name: str) -> dict[str, str]:
    """Return placeholder → its text."""
    parts = re.split(r"[.-]", name)
    class_name = "".join(part.capitalize() for part in parts)
    if class_name[0].isdigit() or class_name in _IMPORTED:
        class_name = f"{kind.capitalize()}{class_name}"
    # Before 1.0, a minor version may break plugins.
    major, minor = metadata.version(DISTRIBUTION).split(".")[:2]
    return {
        "name": name,
        "entry_point": _toml_key(name),
        "title": name,
        "summary": _SUMMARY[kind],
        "distribution": "-".join(["genebench", *parts]),
        "package": "_".join(["genebench", *parts]),
        "class_name": class_name,
        "model_name": f"{class_name}Model",
        "dependencies": f", {_DEPENDENCIES[kind]}".rstrip(", "),
        "requirement": f"{DISTRIBUTION}~={major}.{minor}.0",
        **_USUAL,
        **dict.fromkeys(_OWN[kind], name),
        **({"metrics": f"{_USUAL_METRICS},{name}"} if kind == "metric" else {}),
    }


def _check_name(kind: Kind, name: str) -> None:
    """Check that a name is well formed, and is no keyword of Python.

    Raises:
        UserError: it is malformed, with a suggestion, or a keyword.
    """
    try:
        check_name(kind, name)
    except ValueError as error:
        suggested = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
        hint = f" Did you mean {suggested}?" if suggested and suggested != name else ""
        raise UserError(f"{error}{hint}") from None
    if kind == "protocol" and len(name) > MOST_LETTERS_WITH_FOLDS:
        raise UserError(
            f"protocol name {name!r} is too long. A protocol with folds, as the package has, has "
            f"a name of up to {MOST_LETTERS_WITH_FOLDS} letters."
        )
    if keyword.iskeyword(name) or keyword.iskeyword(name.capitalize()):
        raise UserError(f"{kind} name {name!r} is a word of Python. Choose another name.")


def _check_free(kind: Kind, name: str, words: dict[str, str], folder: Path) -> None:
    """Check that no spec, plugin, distribution, package or folder has the name.

    Raises:
        UserError: one has.
    """
    _check_offered(kind, name)
    if words["distribution"] in {distribution.name for distribution in metadata.distributions()}:
        raise UserError(f"{words['distribution']} is installed already. Choose another name.")
    if find_spec(words["package"]):
        raise UserError(f"there is a package {words['package']} already. Choose another name.")
    if folder.exists():
        raise UserError(f"{folder} exists already. Remove it, or choose another name or --out.")


def _check_offered(kind: Kind, name: str) -> None:
    """Check that no spec and no plugin has the name.

    Raises:
        UserError: one has.
    """
    specs = getattr(registry(), f"{kind}s")
    if name in specs.specs:
        owner = specs.plugins[name].distribution
        raise UserError(f"there is a {kind} {name!r} already, in {owner}. Choose another name.")
    if kind == "dataset" and name in prepared_titles():
        raise UserError(f"there is a prepared dataset {name!r} already. Choose another name.")
    if name in {plugin.name for plugin in installed().all}:
        raise UserError(f"there is a plugin {name!r} already. Choose another name.")
