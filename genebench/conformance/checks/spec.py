"""Checks of the declaration of a method."""

from __future__ import annotations

from genebench.conformance.base import NothingToCheck, Violation
from genebench.conformance.check import check
from genebench.conformance.child import run_python
from genebench.conformance.subject import Subject
from genebench.errors import UserError, some
from genebench.method import Method
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.specs import PRESETS

_IMPORT_SECONDS = 120.0


@check
def describes_itself(subject: Subject) -> None:
    """Write the title, the summary and the help of every parameter as one line of text each."""
    spec = subject.method.spec
    texts = {"title": spec.title, "summary": spec.summary}
    texts |= {f"the help of {param.name}": param.help for param in spec.params}
    for name, text in texts.items():
        if not text.strip() or len(text.splitlines()) > 1:
            raise Violation(f"{name} is {text!r}.")


@check
def writes_equations(subject: Subject) -> None:
    """Write LaTeX in equations of the spec that docutils can convert."""
    text = subject.method.spec.equations
    if not text:
        return
    try:
        from genebench.leaderboard.equations import not_converted
    except ModuleNotFoundError as error:
        raise NothingToCheck(f"{error.name} is not installed; it is in the extra report") from error
    if failed := list(not_converted(text)):
        raise Violation(f"it cannot convert {some(map(repr, failed))}.")


@check
def names_a_method(subject: Subject) -> None:
    """Name a subclass of genebench.Method as the code of the spec."""
    path = subject.method.spec.code
    code = load_code(path)
    if not (isinstance(code, type) and issubclass(code, Method)):
        raise Violation(f"{path} is {code!r}.")


@check
def declines_known_protocols(subject: Subject) -> None:
    """Name protocols that are installed in not_applicable of the spec."""
    protocols = registry().protocols
    for name in subject.method.spec.not_applicable:
        if not protocols.plugin_of(name):
            raise Violation(
                f"not_applicable names {name!r}, and the protocols are {some(protocols.specs, 12)}."
            )


@check
def starts_without_torch(subject: Subject) -> None:
    """Import torch with the method itself, and not with the plugin's hooks."""
    module = subject.method.plugin.load().__name__
    finished = run_python(
        ["-c", f"import sys, {module}; print('torch' in sys.modules)"], timeout=_IMPORT_SECONDS
    )
    if finished.returncode:
        raise NothingToCheck(f"another process cannot import {module}")
    if finished.stdout.split()[-1:] == [b"True"]:
        raise Violation(
            f"{module} imports it. Move the code that needs torch to the module that the spec's "
            "code names, so that genebench list stays fast."
        )


@check
def takes_every_preset(subject: Subject) -> None:
    """Accept the values that each preset gives to the parameters."""
    for preset in PRESETS:
        try:
            subject.method.create(subject.method.spec.values(preset, {}))
        except (UserError, TypeError, ValueError) as error:
            raise Violation(f"the method refuses preset {preset}: {error}") from error
