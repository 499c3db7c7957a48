"""Whether a method says what is wrong when its parameters are."""

from __future__ import annotations

from collections.abc import Iterator

from genebench.conformance.base import NotApplicable, Violation
from genebench.conformance.check import check
from genebench.conformance.subject import Subject
from genebench.errors import UserError, describe
from genebench.specs import Param, Value

_WORDS = ("", "no-such-word")
_NUMBERS = (0, -1, 10**18)
"""The last is so large that what would need as much memory is refused at once."""


@check
def names_a_bad_parameter(subject: Subject) -> None:
    """Any value within a parameter's bounds is taken, or refused by a UserError that names it."""
    if not subject.spec.params:
        raise NotApplicable("it has no parameters")
    for param in subject.spec.params:
        for value in _extremes(param):
            _try(subject, param, value)


def _try(subject: Subject, param: Param, value: Value) -> None:
    try:
        subject.create({**subject.params, param.name: value})
    except UserError as error:
        if param.name not in str(error):
            raise Violation(f"{param.name}={value} is refused by {str(error)!r}.") from error
    except Exception as error:
        raise Violation(f"{param.name}={value} raises {describe(error)}.") from error


def _extremes(param: Param) -> Iterator[Value]:
    """What a parameter may be at the most; where nothing bounds it, what few expect."""
    if param.type is bool:
        yield from (False, True)
    elif param.choices:
        yield from param.choices
    elif param.type is str:
        yield from _WORDS
    else:
        yield from dict.fromkeys(_numbers(param))


def _numbers(param: Param) -> Iterator[Value]:
    low, high = param.minimum, param.maximum
    bounds = [bound for bound in (low, high) if bound is not None]
    for number in map(param.type, (*bounds, *_NUMBERS)):
        if (low is None or low <= number) and (high is None or number <= high):
            yield number
