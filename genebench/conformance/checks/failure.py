"""Checks that a method names the parameter whose value it refuses."""

from __future__ import annotations

from collections.abc import Iterator

from genebench._util.text import typed
from genebench.conformance.base import NothingToCheck, Violation
from genebench.conformance.check import check
from genebench.conformance.subject import Subject
from genebench.errors import UserError, describe
from genebench.method import NotApplicable
from genebench.specs import MOST_LETTERS, Param, Scalar, Value

_WORDS = ("", "no-such-word")
_NUMBERS = (0, -1, 10**18)
"""The last is so large that the system refuses at once to allocate as much memory."""


@check
def names_a_bad_parameter(subject: Subject) -> None:
    """Accept any value within a parameter's bounds, or refuse it with a UserError that names it."""
    method = subject.method
    if not method.spec.params:
        raise NothingToCheck("it has no parameters")
    for param in method.spec.params:
        for value in _extremes(param):
            try:
                method.create({**method.params, param.name: value})
            except UserError as error:
                if param.name not in str(error):
                    message = f"{param.name}={value} is refused by {str(error)!r}."
                    raise Violation(message) from error
            except NotApplicable:
                continue  # a reason of its own, which the record will hold
            except Exception as error:
                raise Violation(f"{param.name}={value} raises {describe(error)}.") from error


def _extremes(param: Param) -> Iterator[Value]:
    """Yield the extreme values of a parameter, and unexpected ones if it has no bounds.

    A list has one value throughout. It is as short or as long as allowed, or as the default.
    """
    if not isinstance(param.default, tuple):
        yield from _single(param)
        return
    lengths = dict.fromkeys((param.min_length, len(param.default), param.max_length))
    if 0 in lengths:
        yield ()
    for value in _single(param):
        for length in filter(None, lengths):
            extreme = (value,) * length
            # No list has an empty word, and none is longer than a text may be.
            if value != "" and len(typed(extreme)) <= MOST_LETTERS:
                yield extreme


def _single(param: Param) -> Iterator[Scalar]:
    """Yield the extremes of a value, or of each value of a list."""
    if param.type is bool:
        yield from (False, True)
    elif param.choices:
        yield from param.choices
    elif param.type is str:
        yield from _WORDS
    else:
        yield from dict.fromkeys(_numbers(param))


def _numbers(param: Param) -> Iterator[Scalar]:
    low, high = param.minimum, param.maximum
    bounds = [bound for bound in (low, high) if bound is not None]
    for number in map(param.type, (*bounds, *_NUMBERS)):
        if (low is None or low <= number) and (high is None or number <= high):
            yield number
