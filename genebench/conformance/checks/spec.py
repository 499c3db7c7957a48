"""Whether a method declares itself as the contract asks."""

from __future__ import annotations

from genebench.conformance.base import NotApplicable, Violation
from genebench.conformance.check import check
from genebench.conformance.child import run_python
from genebench.conformance.subject import Subject
from genebench.errors import UserError
from genebench.method import Method
from genebench.plugins.discovery import load_code
from genebench.specs import PRESETS

_IMPORT_SECONDS = 120.0


@check
def describes_itself(subject: Subject) -> None:
    """Title, summary and the help of every parameter are one line of text each."""
    spec = subject.spec
    texts = {"title": spec.title, "summary": spec.summary}
    texts |= {f"the help of {param.name}": param.help for param in spec.params}
    for name, text in texts.items():
        if not text.strip() or len(text.splitlines()) > 1:
            raise Violation(f"{name} is {text!r}.")


@check
def names_a_method(subject: Subject) -> None:
    """The spec's code names a subclass of genebench.Method."""
    code = load_code(subject.spec.code)
    if not (isinstance(code, type) and issubclass(code, Method)):
        raise Violation(f"{subject.spec.code} is {code!r}.")


@check
def starts_without_torch(subject: Subject) -> None:
    """Importing the plugin's hooks does not import torch."""
    module = subject.plugin.load().__name__
    finished = run_python(
        ["-c", f"import sys, {module}; print('torch' in sys.modules)"], timeout=_IMPORT_SECONDS
    )
    if finished.returncode:
        raise NotApplicable(f"{module} is no module that another process can import")
    if finished.stdout.split()[-1:] == [b"True"]:
        raise Violation(
            f"{module} does; keep what needs torch in the module that the spec's code names, so "
            "that genebench list stays fast."
        )


@check
def takes_every_preset(subject: Subject) -> None:
    """The method can be created with the values that each preset gives to its parameters."""
    for preset in PRESETS:
        try:
            subject.create(subject.spec.values(preset, {}))
        except (UserError, TypeError, ValueError) as error:
            raise Violation(f"preset {preset} is refused: {error}") from error
