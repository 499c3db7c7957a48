"""Generator of hooks.md, the reference of hooks and specs, from their declarations.

    python docs/render_hooks.py

The docstrings of the source are the only place of the documentation. A test fails if the page is
stale, or if :func:`undocumented` finds a field, argument or hook without a description.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from genebench import hookspecs, method, specs
from genebench.data import profiles
from genebench.formats import base, flat
from genebench.metrics import pairs
from genebench.preprocessing import compendium
from genebench.reports import report
from genebench.results import record
from genebench.runs import execute as job
from genebench.runs import jobs

PAGE = Path(__file__).parent / "reference" / "hooks.md"
EXAMPLE = Path(__file__).parent / "examples" / "every_hook.py"

SPECS = (
    specs.MethodSpec, specs.Param, specs.Needs, specs.Resources,
    specs.MetricSpec, specs.ProtocolSpec, specs.Part,
    specs.SplitSpec, specs.DatasetSpec, specs.FormatSpec, specs.EngineSpec,
    specs.ReportSpec, specs.ReporterSpec,
)  # fmt: skip
OTHERS = (
    method.Method, method.Model, method.Attribution, method.Context, profiles.Profiles,
    pairs.Pairs,
    compendium.Compendium, compendium.Platform, base.Reader, flat.Flat, base.Piece, base.Rows,
    base.Content, jobs.Job, jobs.Evaluation, jobs.Settings, job.execute, job.fail,
    job.describe_job, job.notify, record.Record, record.Identity, record.Score, record.Failure,
    report.Report, report.Section, report.Table, report.Row,
)  # fmt: skip
COMMON = {
    "name": "name in commands, tables and keys: lower case, digits, single `-` or `.`",
    "title": "longer name, for headings",
    "summary": "description in one line",
    "code": "import string `package.module:name` of the code, which is imported when it is needed",
}
"""Fields that most specs have, documented once at the top of the page."""
INTRODUCTION = """\
<!-- Written by docs/render_hooks.py: change the docstrings of genebench, not this page. -->
# Hooks

A plugin is a module that an entry point of group `genebench` names, or a file that `--plugin`
names. It sets `genebench_contract = 1`, and defines any of the functions below, marked with
`@genebench.hookimpl`. A function may leave out arguments that it does not need.

This page is generated from the source. The examples are parts of one plugin,
[`every_hook.py`](../examples/every_hook.py), which a test runs. For an introduction, follow the
[tutorial](../tutorial.md) and the [how-tos](plugins.md).
"""


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [INTRODUCTION, "## The hooks", *map(_hook, hooks()), "## Specs"]
    common = [f"- `{name}`: {text}" for name, text in COMMON.items()]
    header = "Hooks return specs. They are frozen, checked when created, and take keywords only."
    parts += [f"{header} Most have:", "\n".join(common)]
    parts += [*map(_section_of, SPECS), "## Arguments and base classes of plugins"]
    parts += map(_section_of, OTHERS)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def hooks() -> list[Any]:
    """Return every hook, in the order of the source."""
    return [value for name, value in vars(hookspecs).items() if name.startswith("genebench_")]


def undocumented() -> list[str]:
    """Return the names of hooks, arguments, classes and fields without documentation."""
    return list(_undocumented())


def _undocumented() -> Iterator[str]:
    examples = _examples()
    for hook in hooks():
        text = _markdown(hook.__doc__)
        if not text:
            yield hook.__name__
        if hook.__name__ not in examples:
            yield f"{hook.__name__}: example"
        if not hook.__name__.startswith("genebench_job"):
            continue
        for argument in inspect.signature(hook).parameters:
            if f"`{argument}`" not in text:
                yield f"{hook.__name__}: {argument}"
    for item in (*SPECS, *OTHERS):
        if not _markdown(_own_doc(item)):
            yield item.__name__
        elif isinstance(item, type):
            yield from (f"{item.__name__}.{name}" for name, _, text in _fields(item) if not text)
            yield from (f"{item.__name__}.{m.name}" for m in _methods(item) if not _doc(m))


def _hook(hook: Any) -> str:
    signature = f"def {hook.__name__}{inspect.signature(hook)}".replace("'", "")
    return (
        f"### {hook.__name__}\n\n```python\n{signature}\n```\n\n{_markdown(hook.__doc__)}\n\n"
        f"```python\n{_examples().get(hook.__name__, '')}\n```"
    )


def _examples() -> dict[str, str]:
    """Return hook → its part of the example, which ends where the next hook begins."""
    text = EXAMPLE.read_text("utf-8")
    examples = {}
    for part in re.split(r"^(?=@hookimpl$)", text, flags=re.MULTILINE)[1:]:
        name = re.search(r"^def (\w+)", part, re.MULTILINE)
        if name:
            examples[name[1]] = part.strip()
    return examples


def _section_of(item: Any) -> str:
    """Return the section of a class or function: signature, docstring, fields and methods."""
    name = item.__name__
    where = f"`{item.__module__}.{name}`"
    if not isinstance(item, type):
        signature = f"def {name}{inspect.signature(item)}".replace("'", "")
        return (
            f"### {name}\n\n{where}\n\n```python\n{signature}\n```\n\n{_markdown(_own_doc(item))}"
        )
    parts = [f"### {name}", where, _markdown(_without_attributes(_own_doc(item)))]
    rows = [
        f"- `{f'{field}: {kind}' if kind else field}`<br>{text}"
        for field, kind, text in _fields(item)
        if field not in COMMON or text != COMMON[field]
    ]
    parts.append("\n".join(rows))
    parts += [_method(node) for node in _methods(item)]
    return "\n\n".join(filter(None, parts))


def _own_doc(item: Any) -> str:
    """Return the docstring from the source. Empty if there is none."""
    doc = inspect.getdoc(item) or ""
    # Python gives a dataclass without a docstring its signature as one.
    return "" if doc.startswith(f"{item.__name__}(") else doc


def _fields(item: type) -> Iterator[tuple[str, str, str]]:
    """Yield (name, type with default, documentation) of each public field."""
    documented = _attributes(_own_doc(item))
    declared: dict[str, tuple[str, str]] = {}
    body = _class(item).body
    for index, node in enumerate(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            # The string below a field is its documentation. Only the source shows it.
            after = body[index + 1] if index + 1 < len(body) else None
            kind = _spelt_out(item, ast.unparse(node.annotation))
            if described := _description(node.value):
                declared[node.target.id] = kind, described
                continue
            default = f" = {ast.unparse(node.value)}" if node.value else ""
            declared[node.target.id] = kind + _FACTORY.sub("", default), _string(after)
    for name in (*declared, *(name for name in documented if name not in declared)):
        kind, text = declared.get(name, ("", ""))
        common = COMMON.get(name, "") if item.__name__.endswith("Spec") else ""
        text = " ".join(_markdown(text or documented.get(name, "")).split()) or common
        yield name, kind, text


def _description(value: ast.expr | None) -> str:
    """Return the description of a field of pydantic. Empty for any other value."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "Field"):
        return ""
    texts = {keyword.arg: keyword.value for keyword in value.keywords}
    return str(ast.literal_eval(texts["description"])) if "description" in texts else ""


_FACTORY = re.compile(r" = field\(default_factory=.*\)")


def _spelt_out(item: type, annotation: str) -> str:
    """Return an annotation with the values of a Literal in place of its name."""
    names = vars(sys.modules[item.__module__])

    def choices(word: re.Match[str]) -> str:
        value = names.get(word[0])
        return " | ".join(map(repr, get_args(value))) if get_origin(value) is Literal else word[0]

    return re.sub(r"\b[A-Z]\w+\b", choices, annotation)


def _string(node: ast.stmt | None) -> str:
    """Return the text of a string that stands alone. Empty for any other statement."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return inspect.cleandoc(str(node.value.value))
    return ""


def _class(item: type) -> ast.ClassDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(item)))
    node = tree.body[0]
    assert isinstance(node, ast.ClassDef)
    return node


def _methods(item: type) -> list[ast.FunctionDef]:
    return [
        node
        for node in _class(item).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


def _doc(node: ast.FunctionDef) -> str:
    return ast.get_docstring(node) or ""


def _method(node: ast.FunctionDef) -> str:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if decorators & {"property", "cached_property"}:
        returns = ast.unparse(node.returns) if node.returns else ""
        signature = f"{node.name}: {returns}"
    else:
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        arguments = re.sub(r"^(self|cls)(, )?", "", ast.unparse(node.args))
        signature = f"{node.name}({arguments}){returns}"
    lines = _markdown(_doc(node)).splitlines()
    return "\n".join([f"- `{signature}`", "", *(f"    {line}".rstrip() for line in lines)])


_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n((?:(?: {4}.*)?\n)*)", re.MULTILINE)


def _attributes(doc: str) -> dict[str, str]:
    """Return name → text, from the section ``Attributes`` of a docstring."""
    for section in _SECTION.finditer(f"{doc}\n"):
        if section[1] == "Attributes":
            return {
                name.strip("* "): text
                for names, text in _entries(section[2])
                for name in names.split(",")
            }
    return {}


def _without_attributes(doc: str) -> str:
    return _SECTION.sub(lambda part: "" if part[1] == "Attributes" else part[0], f"{doc}\n")


def _entries(body: str) -> list[tuple[str, str]]:
    """Return (names, text) of each entry. Lines that continue an entry are indented further."""
    joined = re.sub(r"\n {5,}", " ", textwrap.indent(textwrap.dedent(body), "    "))
    pairs = (line.strip().partition(": ") for line in joined.splitlines() if line.strip())
    return [(name, text) for name, _, text in pairs]


def _markdown(doc: str | None) -> str:
    """Return a docstring as Markdown."""
    text = _SECTION.sub(_section, f"{inspect.cleandoc(doc or '')}\n")
    text = re.sub(r":(?:class|meth|func|data|mod):`~?([^`]+)`", r"`\1`", text)
    text = text.replace("``", "`").strip()
    return re.sub(r"`(?:[a-z_]+\.)*(\w+)`", _link, text)


def _link(code: re.Match[str]) -> str:
    """Return the code as a link, if this page has a section on it."""
    names = {item.__name__ for item in (*SPECS, *OTHERS)}
    return f"[{code[0]}](#{code[1].lower()})" if code[1] in names else code[0]


def _section(section: re.Match[str]) -> str:
    title, body = {"Args": "Arguments"}.get(section[1], section[1]), section[2]
    if section[1] == "Returns":
        return f"**{title}:** {' '.join(body.split())}\n\n"
    lines = [f"- `{name}`: {text}" for name, text in _entries(body)]
    return "\n".join([f"**{title}**", "", *lines, "", ""])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
