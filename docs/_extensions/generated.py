"""Parts of the reference that are written from the source: one directive for each function here.

A page that has ``{hooks}``, say, shows what :func:`hooks` returns. So docstrings, specs and help
texts are the only place of what they say. A test fails if :func:`undocumented` finds anything.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from genebench import hookspecs, method, specs
from genebench.cli import build_app
from genebench.data import profiles
from genebench.formats import base, flat
from genebench.metrics import pairs
from genebench.plugins.registry import registry
from genebench.preprocessing import compendium
from genebench.reports import report
from genebench.results import record
from genebench.runs import execute, jobs

EXAMPLE = Path(__file__).parents[1] / "examples" / "every_hook.py"
METHODS = Path(__file__).parents[1] / "reference" / "methods"

SPECS = (
    specs.MethodSpec, specs.Param, specs.Needs, specs.Resources,
    specs.MetricSpec, specs.ProtocolSpec, specs.Part,
    specs.SplitSpec, specs.DatasetSpec, specs.FormatSpec, specs.EngineSpec,
    specs.ReportSpec, specs.ReporterSpec,
)  # fmt: skip
MET = (
    method.Method, method.Model, method.Context, profiles.Profiles, pairs.Pairs,
    compendium.Compendium, compendium.Platform, base.Reader, flat.Flat, base.Piece, base.Rows,
    base.Content, jobs.Job, jobs.Evaluation, jobs.Settings, execute.execute, execute.fail,
    execute.describe_job, execute.notify, report.Report, report.Section, report.Table, report.Row,
)  # fmt: skip
"""Classes and functions that plugins meet besides specs: arguments, base classes, calls."""
RECORD = (
    record.Record,
    *(
        item
        for item in vars(record).values()
        if inspect.isclass(item)
        and issubclass(item, BaseModel)
        and item.__module__ == record.__name__
        and not item.__name__.startswith("_")
        and item is not record.Record
    ),
)
"""Tables of a record, the outermost first."""
VALUES = {"<str>": "TEXT", "<int>": "NUMBER", "<float>": "NUMBER", "<path>": "PATH"}
"""Name of a type on the command line → word of the page."""
COMMON = {"name", "title", "summary", "code"}
"""Fields that most specs have. The page of hooks says once what they mean."""


def commands() -> str:
    """Return every command with its arguments and options."""
    return "\n\n".join(_command("genebench", typer.main.get_command(build_app())))


def _command(name: str, command: Any) -> Iterator[str]:
    """Yield the section of a command, and those of its subcommands."""
    context = typer.Context(command, info_name=name)
    if name != "genebench":
        yield f"{'##' if name.count(' ') == 1 else '###'} {name}"
    yield _prose(inspect.cleandoc(command.help or ""))
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    if example := (command.epilog or "").removeprefix("Example: "):
        yield f"```console\n$ {example}\n```"
    yield f":::{{program}} {name}\n:::"
    for param in command.params:
        if not getattr(param, "hidden", False):
            yield from _option(param, context)
    for part, subcommand in getattr(command, "commands", {}).items():
        if not subcommand.hidden:
            yield from _command(f"{name} {part}", subcommand)


def _option(param: Any, context: Any) -> Iterator[str]:
    """Yield the description of an argument or option."""
    metavar = VALUES.get(param.make_metavar(context), param.make_metavar(context))
    is_flag = getattr(param, "is_flag", False)
    if param.param_type_name == "argument":
        names = [metavar.strip("[]")]
    else:
        names = [n if is_flag else f"{n} {metavar}" for n in (*param.opts, *param.secondary_opts)]
    shown = param.default not in (None, False, "", ()) and not callable(param.default)
    described = is_flag or "default" in (param.help or "").lower()
    default = f" Default: `{param.default}`." if shown and not described else ""
    needed = " Required." if param.required else ""
    text = _prose(param.help or "")
    yield f"::::{{option}} {', '.join(names)}\n{text}{needed}{default}\n::::"


def hooks() -> str:
    """Return every hook, with its part of the example."""
    examples = _examples()
    return "\n\n".join(
        f"### {hook.__name__}\n\n{_autodoc(hook)}\n\n```python\n{examples[hook.__name__]}\n```"
        for hook in _hooks()
    )


def described(group: str) -> str:
    """Return classes and functions under a heading each: the ``specs``, or those ``met``."""
    items: tuple[Any, ...] = {"specs": SPECS, "met": MET}[group]
    return "\n\n".join(f"### {item.__name__}\n\n{_autodoc(item)}" for item in items)


def python(module: str) -> str:
    """Return the public names of a module, each described here or linked to its description."""
    found = import_module(module)
    parts = [_prose(inspect.getdoc(found) or "")]
    for name in found.__all__:
        item = getattr(found, name)
        if any(item is other for other in (*SPECS, *MET, *RECORD)):
            page = "record.md" if item in RECORD else "hooks.md"
            parts.append(f"- {{py:attr}}`{module}.{name}`: see [{name}]({page}#{name.lower()})")
        elif inspect.isclass(item) or inspect.isroutine(item):
            parts.append(_autodoc(item))
        elif not inspect.ismodule(item):
            parts.append(f"```{{py:data}} {module}.{name}\n```")
    return "\n\n".join(parts)


def record_keys() -> str:
    """Return every key of a record, table by table."""
    parts = []
    for table in RECORD:
        schema = table.model_json_schema(ref_template="{model}")
        rows = [
            (f"`{name}`", _json_type(of), _prose(of.get("description", "")))
            for name, of in schema["properties"].items()
        ]
        parts += [f"## {table.__name__}", _prose((inspect.getdoc(table) or "").partition("\n")[0])]
        parts.append(_table(("key", "type", "meaning"), rows))
    return "\n\n".join(parts)


def _json_type(schema: Mapping[str, Any]) -> str:
    """Return the type of a JSON value, in words."""
    if "$ref" in schema:
        return f"[{schema['$ref']}](#{schema['$ref'].lower()})"
    if parts := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(map(_json_type, parts)))
    if {"const", "enum"} & set(schema):
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"`{value}`" for value in values)
    if schema["type"] == "array":
        return f"list of {_json_type(schema['items'])}"
    if schema["type"] == "object":
        return f"name → {_json_type(schema['additionalProperties'])}"
    return {"string": "text", "integer": "whole number"}.get(schema["type"], schema["type"])


def methods() -> str:
    """Return a table of all methods of this installation, with links to their pages."""
    found = registry().methods
    pages = {
        name: page.name
        for page in METHODS.glob("*.md")
        for name in re.findall(r"^```{method-card} (.+)$", page.read_text("utf-8"), re.MULTILINE)
    }
    rows = [
        (
            f"[`{name}`]({pages[name]}#{name})" if name in pages else f"`{name}`",
            _prose(spec.summary),
            f"`{found.plugins[name].distribution}`",
        )
        for name, spec in sorted(found.specs.items())
    ]
    return _table(("method", "summary", "package"), rows)


def method_card(name: str) -> str:
    """Return what the spec of a method declares, as ``genebench show`` does."""
    found = registry().methods
    spec, origin = found.get(name), found.plugins[name]
    facts = {
        "Name": f"`{name}`, of the package `{origin.distribution}`",
        "Source": _prose(spec.reference) or "–",
        "Runs on": ", ".join({"cpu": "CPU", "cuda": "CUDA"}[device] for device in spec.devices),
        "Seed": "results depend on it" if spec.stochastic else "none: deterministic",
    }
    parts = [f"{_prose(spec.summary[:1].upper() + spec.summary[1:])}."]
    parts.append("\n".join(f"- **{key}**: {value}" for key, value in facts.items()))
    rows = [
        (
            f"`{param.name}`",
            *(_code(param.value_for(preset)) for preset in specs.PRESETS),
            _allowed(param),
            _prose(param.help),
        )
        for param in spec.params
    ]
    if rows:
        parts.append(_table(("parameter", *specs.PRESETS, "allowed", "effect"), rows))
    return "\n\n".join(parts)


def _allowed(param: specs.Param) -> str:
    """Return the values that a parameter may have."""
    if param.choices:
        return ", ".join(map(_code, param.choices))
    low = f"≥ {param.minimum:g}" if param.minimum is not None else ""
    high = f"≤ {param.maximum:g}" if param.maximum is not None else ""
    return ", ".join(filter(None, (low, high))) or param.type.__name__


def offered(kind: str) -> str:
    """Return a table of what plugins offer of one kind, such as ``metrics``."""
    found = getattr(registry(), kind)
    columns = {
        "metrics": ("unit", "direction", "best", "axis", "costly"),
        "protocols": ("train", "validation", "test"),
        "engines": ("limits", "many_machines"),
        "formats": ("suffixes", "extra"),
        "reports": ("argument",),
    }.get(kind, ())
    rows = [
        (
            f"`{name}`",
            _prose(getattr(spec, "summary", "") or spec.title),
            *(_cell(getattr(spec, column)) for column in columns),
        )
        for name, spec in found.specs.items()
    ]
    header = ("name", "description", *(column.replace("_", " ") for column in columns))
    return _table(header, rows)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(_prose, value))
    return _prose(f"{value:g}" if isinstance(value, float) else str(value))


def undocumented() -> list[str]:
    """Return the names of hooks, arguments, classes, fields and keys without documentation."""
    names = [name for hook in _hooks() for name in _lacks_of_hook(hook)]
    names += [name for item in (*SPECS, *MET) for name in _lacks_of_item(item)]
    names += [
        f"{table.__name__}.{name}"
        for table in RECORD
        for name, field in table.model_fields.items()
        if not field.description
    ]
    return names


def _lacks_of_hook(hook: Any) -> Iterator[str]:
    text = inspect.getdoc(hook) or ""
    if not text:
        yield hook.__name__
    if hook.__name__ not in _examples():
        yield f"{hook.__name__}: example"
    # Arguments of other hooks have classes that say it.
    if hook.__name__.startswith("genebench_job"):
        for argument in inspect.signature(hook).parameters:
            if f"``{argument}``" not in text and not _is_entry(argument, text):
                yield f"{hook.__name__}: {argument}"


def _lacks_of_item(item: Any) -> Iterator[str]:
    doc = inspect.getdoc(item) or ""
    # Python gives a dataclass without a docstring its signature as one.
    if not doc or doc.startswith(f"{item.__name__}("):
        yield item.__name__
    elif inspect.isclass(item):
        # The string below a field is its documentation. Only the source shows it.
        strings = ModuleAnalyzer.for_module(item.__module__).find_attr_docs()
        fields = vars(item).get("__annotations__", {})
        for name in fields:
            known = (item.__name__, name) in strings or _is_entry(name, doc)
            common = name in COMMON and item in SPECS
            if not (known or common or name.startswith("_")):
                yield f"{item.__name__}.{name}"
        for name, value in vars(item).items():
            called = inspect.isroutine(value) or isinstance(value, property)
            if (
                called
                and not name.startswith("_")
                and name not in fields
                and not inspect.getdoc(value)
            ):
                yield f"{item.__name__}.{name}"


def _is_entry(name: str, doc: str) -> bool:
    """Return whether a docstring has an entry of this name, alone or with others."""
    return bool(re.search(rf"^ +(\w+, )*{name}(, \w+)*: ", doc, re.MULTILINE))


def _hooks() -> list[Any]:
    """Return every hook, in the order of the source."""
    return [value for name, value in vars(hookspecs).items() if name.startswith("genebench_")]


def _examples() -> dict[str, str]:
    """Return hook → its part of the example, which ends where the next hook begins."""
    examples = {}
    for part in re.split(r"^(?=@hookimpl$)", EXAMPLE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        name = re.search(r"^def (\w+)", part, re.MULTILINE)
        if name:
            examples[name[1]] = part.strip()
    return examples


def _autodoc(item: Any) -> str:
    """Return the directive that describes a class with its members, or a function."""
    kind = "class" if inspect.isclass(item) else "function"
    members = "   :members:\n" if kind == "class" else ""
    name = f"{item.__module__}.{item.__qualname__}"
    return f"```{{eval-rst}}\n.. auto{kind}:: {name}\n{members}```"


def _prose(text: str) -> str:
    """Return plain text as Markdown that shows the same."""
    marked = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", text)
    parts = re.split(r"``(.+?)``", marked)
    plain = [re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", part) for part in parts[::2]]
    code = [*(f"`{part}`" for part in parts[1::2]), ""]
    return "".join(a + b for a, b in zip(plain, code, strict=True))


def _code(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if text else "–"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


WRITERS: dict[str, Callable[..., str]] = {
    "commands": commands,
    "hooks": hooks,
    "described": described,
    "python": python,
    "record-keys": record_keys,
    "methods": methods,
    "method-card": method_card,
    "offered": offered,
}
"""Directive → the function that writes its content. An argument of the one goes to the other."""


class Generated(SphinxDirective):
    """A directive that stands for Markdown of one of :data:`WRITERS`."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the content, and read it as a part of the page."""
        content = WRITERS[self.name](*self.arguments)
        return self.parse_text_to_nodes(content, allow_section_headings=True)


def whole_sentences(app: Sphinx) -> None:
    """Keep docstrings of fields as they are.

    Napoleon would take the words before a colon for the type of the field, and leave them out.
    """
    kept: dict[str, list[str]] = {}

    def keep(*event: Any) -> None:
        _, what, name, *_, lines = event
        if what in {"attribute", "data", "property"}:
            kept[name] = [*lines]

    def restore(*event: Any) -> None:
        _, _, name, *_, lines = event
        lines[:] = kept.pop(name, lines)

    # Napoleon listens at the usual priority of 500.
    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)


def readable_defaults(*event: Any) -> tuple[str | None, str | None]:
    """Return a signature that Sphinx can read: ``<factory>`` of dataclasses is no Python."""
    *_, signature, returns = event
    return signature and signature.replace("<factory>", "..."), returns


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    for name in WRITERS:
        app.add_directive(name, Generated)
    whole_sentences(app)
    app.connect("autodoc-process-signature", readable_defaults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
