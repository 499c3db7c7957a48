"""Variants by name: a method, METHOD:PARAM=VALUE, or the start of a record's key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from genebench._util.text import BETWEEN_VALUES, short
from genebench.analysis.variants import Variant
from genebench.errors import UserError, some, unknown
from genebench.results.record import Record
from genebench.specs import Value

_KEY = re.compile(r"[0-9a-f]{6,}")
"""The start of a record's key. A shorter one is likely to fit several records."""

_BETWEEN_ASSIGNMENTS = re.compile(r",(?=\s*\w+\s*=|\s*$)")


def find(name: str, variants: Sequence[Variant]) -> Variant | None:
    """Return the variant that a name means, among those of one table, or None.

    Raises:
        UserError: the name could mean several variants.
    """
    meant = [variant for variant in variants if variant.done and _is_meant(name, variant)]
    if len(meant) < 2:  # noqa: PLR2004
        return meant[0] if meant else None
    first = meant[0].first
    choices = some((f"{variant.label} = {variant.first.key[:8]}" for variant in meant), 6)
    raise UserError(
        f"{name} is {len(meant)} variants on {first.dataset} under {first.identity.protocol}. "
        f"Name one by METHOD:PARAM=VALUE or by its key: {choices}."
    )


def check_name(name: str, records: Sequence[Record]) -> None:
    """Refuse a name that means no record at all.

    Raises:
        UserError: no record is of that method or key, or none has these parameters.
    """
    method, colon, settings = name.partition(":")
    identities = [record.identity for record in records if record.identity.method == method]
    if not identities and not any(_is_key_of(name, record) for record in records):
        raise unknown(
            "method among these results", method, {record.identity.method for record in records}
        )
    if colon and not any(_has_all(identity.params, settings) for identity in identities):
        parameters = sorted({name for identity in identities for name in identity.params})
        raise UserError(
            f"No result of {method} has {settings}. Its parameters are {some(parameters, 12)}."
        )


def records_of(name: str, records: Iterable[Record]) -> list[Record]:
    """Return the records that a name means, with or without scores."""
    return [record for record in records if _is_meant(name, Variant("", (record,)))]


def assignments(text: str) -> list[str]:
    """Return the parts of ``PARAM=VALUE,PARAM=VALUE``. A value may have commas of its own."""
    return _BETWEEN_ASSIGNMENTS.split(text)


def _is_meant(name: str, variant: Variant) -> bool:
    identity = variant.first.identity
    method, _, settings = name.partition(":")
    if method == identity.method:
        return _has_all(identity.params, settings)
    return any(_is_key_of(name, record) for record in variant.records)


def _is_key_of(name: str, record: Record) -> bool:
    return _KEY.fullmatch(name) is not None and record.key.startswith(name)


def _has_all(params: Mapping[str, Value], settings: str) -> bool:
    """Return whether parameters have the values of ``PARAM=VALUE,PARAM=VALUE``."""
    return all(_has(params, setting) for setting in assignments(settings) if setting)


def _has(params: Mapping[str, Value], setting: str) -> bool:
    name, _, text = setting.partition("=")
    name, text = name.strip(), text.strip()
    if name not in params:
        return False
    return _is(params[name], text)


def _is(value: Value, text: str) -> bool:
    """Return whether a text is how a user may type a value."""
    if isinstance(value, tuple):
        texts = text.split(BETWEEN_VALUES) if text else []
        return len(texts) == len(value) and all(map(_is, value, texts))
    if isinstance(value, bool | str):
        return str(value).lower() == text.lower()
    try:
        # Labels and tables show six digits.
        return float(text) == float(value) or text == short(value)
    except ValueError:
        return False
