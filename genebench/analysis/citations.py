"""BibTeX of the tool, the methods and the data behind records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import zip_longest

from genebench.hookspecs import DISTRIBUTION, PROJECT
from genebench.plugins.registry import Registry
from genebench.results.record import Record

_YEAR = 2026
"""Year of this version."""

CHEN_2016 = """@article{chen2016,
  author = {Chen, Yifei and Li, Yi and Narayan, Rajiv and Subramanian, Aravind and Xie, Xiaohui},
  title = {Gene expression inference with deep learning},
  journal = {Bioinformatics}, volume = {32}, number = {12}, pages = {1832--1839}, year = {2016},
  doi = {10.1093/bioinformatics/btw074}
}"""
LAPPALAINEN_2013 = """@article{lappalainen2013,
  author = {Lappalainen, Tuuli and others},
  title = {Transcriptome and genome sequencing uncovers functional variation in humans},
  journal = {Nature}, volume = {501}, pages = {506--511}, year = {2013},
  doi = {10.1038/nature12531}
}"""
GTEX_2013 = """@article{gtex2013,
  author = {{GTEx Consortium}},
  title = {The {Genotype-Tissue Expression} ({GTEx}) project},
  journal = {Nature Genetics}, volume = {45}, pages = {580--585}, year = {2013},
  doi = {10.1038/ng.2653}
}"""
_PUBLISHED_DATA = f"{CHEN_2016}\n\n{LAPPALAINEN_2013}\n\n{GTEX_2013}"
"""Sources of the data of the published tables."""

_ENTRY = re.compile(r"^@\w+\s*\{\s*([^,\s{}]+)\s*,", re.MULTILINE)
"""Start of an entry, and its key."""


def bibliography(
    records: Iterable[Record],
    registry: Registry,
    methods: Iterable[str] = (),
    origins: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Return a BibTeX file of everything that a table rests on.

    A comment before each group names what it is for. An entry that serves several methods is
    printed once. What declares no BibTeX has a comment that says so.

    Args:
        records: records of the table.
        registry: the specs on offer.
        methods: further methods to cite.
        origins: digest of a dataset → its origin, for the datasets that are prepared here.
            ``bibtex`` is its text, and ``kind`` is ``simulated`` for simulations.
    """
    records = list(records)
    printed: dict[str, str] = {}
    parts = []
    for subject, text in (
        (f"{PROJECT} {metadata.version(DISTRIBUTION)}", _software()),
        *_of_methods(records, registry, methods),
        *_of_data(records, origins or {}),
    ):
        keys, new = _new_entries(text, printed)
        cited = f": {', '.join(keys)}" if keys else ""
        parts.append("\n\n".join([f"% {_one_line(subject)}{cited}", *new]))
    return "\n\n".join(parts) + "\n"


def _software() -> str:
    return f"""@software{{genebench,
  author = {{{{The genebench developers}}}},
  title = {{genebench: fair comparisons of methods that infer target genes from landmark genes}},
  version = {{{metadata.version(DISTRIBUTION)}}}, year = {{{_YEAR}}}
}}"""


def _of_methods(
    records: Iterable[Record], registry: Registry, methods: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield a comment and the BibTeX of each method, members of others included."""
    names = dict.fromkeys(methods)
    for record in records:
        names |= dict.fromkeys([record.identity.method, *record.identity.members])
    for name in names:
        spec = registry.methods.specs.get(name)
        if spec is None:
            yield f"method {name} is not installed, so its papers are not known", ""
            continue
        plugin = registry.methods.plugins[name]
        subject = f"method {name} ({plugin.distribution} {plugin.version})"
        if not spec.bibtex and not spec.control:
            subject += f" declares no BibTeX. {spec.reference or 'It names no source'}"
        yield subject, spec.bibtex


def _of_data(
    records: Iterable[Record], origins: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield a comment and the BibTeX of each dataset."""
    for digest, record in {record.identity.data: record for record in records}.items():
        origin = origins.get(digest, {})
        subject = f"data {record.dataset} (digest {digest})"
        if record.published_data:
            yield subject, _PUBLISHED_DATA
        elif origin.get("kind") == "simulated":
            yield f"{subject} are a simulation of genebench", ""
        elif origin.get("bibtex"):
            yield subject, origin["bibtex"]
        else:
            reason = "their manifest has no bibtex" if origin else "they are not prepared here"
            yield f"{subject}: {reason}, so their papers are not known", ""


def _new_entries(text: str, printed: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the keys of a text's entries, and the entries that were not printed before.

    Two different entries with one key would be an error of BibTeX. The second gets another key.
    """
    starts = [*_ENTRY.finditer(text)]
    ends = [match.start() for match in starts[1:]]
    keys, new = [], []
    for match, end in zip_longest(starts, ends):
        key, entry = match[1], text[match.start() : end].strip()
        while printed.get(key, entry) != entry:
            key += "-x"
        if key not in printed:
            printed[key] = entry
            new.append(entry if key == match[1] else entry.replace(match[1], key, 1))
        keys.append(key)
    return keys, new


def _one_line(text: str) -> str:
    return " ".join(text.split())
