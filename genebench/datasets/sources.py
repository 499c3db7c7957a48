"""Public files of the published protocols: addresses, checksums, licences."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from genebench.errors import unknown

MOST_BYTES = 20_000_000_000
"""Bytes of a file of unknown size, at most. The largest known one, of ``geo``, has 12 GB."""


@dataclass(frozen=True)
class Source:
    """One public file.

    Args:
        name: name that it is fetched by.
        title: description in a line.
        file: name on disk, as published.
        urls: mirrors in order of preference. There are none if the file is not public.
        sha256: published checksum in hexadecimal, or None.
        md5: published checksum, if the publisher states no SHA-256.
        size: bytes, or None if unknown.
        licence: terms of use, and the paper to cite.
        ask: place to ask if there is no address, or none responds.
        most_bytes: bytes at which a download of unknown size is given up.
    """

    name: str
    title: str
    file: str
    urls: tuple[str, ...]
    sha256: str | None
    size: int | None
    licence: str
    ask: str
    md5: str | None = None
    most_bytes: int = MOST_BYTES

    @property
    def cap(self) -> int:
        """Bytes that the file cannot exceed."""
        return self.most_bytes if self.size is None else self.size

    @property
    def part(self) -> str:
        """Name on disk of an unfinished download."""
        return f"{self.file}.part"

    @property
    def checksum(self) -> str | None:
        """Strongest published checksum as ``algorithm:digest``, or None."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else None


_REPOSITORY = "https://github.com/uci-cbcl/D-GEX"
_COMMIT = "384b2e705f34d91f66644f24043d271b6579bf9a"
_MAP_URLS = (
    f"https://raw.githubusercontent.com/uci-cbcl/D-GEX/{_COMMIT}",
    f"{_REPOSITORY}/raw/{_COMMIT}",
)
_EBI = "https://ftp.ebi.ac.uk/biostudies"
_GD462 = "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt.gz"
_AUTHORS = (
    f"the authors of D-GEX, as the README of {_REPOSITORY} says "
    "(the GGAN paper had the data from https://cbcl.ics.uci.edu/public_data/D-GEX/)"
)
_NO_LICENCE = "no licence is stated. Use it for your research, and do not pass it on"
_DGEX = "Cite Chen et al. 2016, doi:10.1093/bioinformatics/btw074"


def _map(name: str, role: str, file: str, sha256: str, size: int) -> Source:
    return Source(
        name=name,
        title=f"the {role} gene map of D-GEX",
        file=file,
        urls=tuple(f"{base}/{file}" for base in _MAP_URLS),
        sha256=sha256,
        size=size,
        licence=f"GPL-2.0, as the repository it is part of. {_DGEX}",
        ask=f"{_REPOSITORY} (file {file})",
    )


def _prepared(platform: str, role: str, split: str = "") -> Source:
    prefix = {"geo": "bgedv2", "1000g": "1000G", "gtex": "GTEx"}[platform]
    genes = {"x": "landmarks", "y": "targets"}[role]
    middle = f"_{split}" if split else ""
    return Source(
        name="-".join(part for part in ("prepared", platform, role, split) if part),
        title=f"D-GEX's prepared {genes} of {platform}{f', {split}' if split else ''}",
        file=f"{prefix}_{role.upper()}{middle}_float64.npy",
        urls=(),
        sha256=None,
        size=None,
        licence=f"{_NO_LICENCE}. {_DGEX}",
        ask=(
            f"{_AUTHORS}. Or prepare the originals (geo, geuvadis, gtex) yourself. A manifest with "
            'recipe = "prepared" makes a dataset of all of them'
        ),
    )


SOURCES: tuple[Source, ...] = (
    _map(
        "landmarks",
        "landmark",
        "map_lm.txt",
        "7c0be34e103786c43fe5e471a86e278877cfaa2cf0245b3513681ebe883558db",
        31_157,
    ),
    _map(
        "targets",
        "target",
        "map_tg.txt",
        "a238c8ee0f3200063455ef3275162e347881d447649189d4dc2c6203ff8a1a99",
        384_997,
    ),
    Source(
        name="geuvadis",
        title="RNA-seq of 462 lymphoblastoid cell lines of 1000 Genomes (GEUVADIS, E-GEUV-1)",
        file=_GD462,
        urls=(
            f"{_EBI}/fire/E-GEUV-/001/E-GEUV-1/Files/E-GEUV-1/analysis_results/{_GD462}",
            f"https://www.ebi.ac.uk/biostudies/files/E-GEUV-1/E-GEUV-1/analysis_results/{_GD462}",
            f"https://zenodo.org/records/15596289/files/{_GD462}",
            f"https://www.ebi.ac.uk/arrayexpress/files/E-GEUV-1/{_GD462}",
        ),
        sha256=None,
        # As stated by two who packaged the file: Bioconductor's geuvPack and GenVarLoader.
        md5="500bffeed8e0f770c157e0189e9e50ae",
        size=90_812_592,
        licence=(
            "open data at EMBL-EBI, under its terms (https://www.ebi.ac.uk/about/terms-of-use). "
            "Cite Lappalainen et al. 2013, doi:10.1038/nature12531"
        ),
        ask="E-GEUV-1 at https://www.ebi.ac.uk/biostudies/arrayexpress/studies/E-GEUV-1",
    ),
    Source(
        name="geo",
        title="GEO microarrays, 129,158 profiles × 22,268 probes (LINCS level 3, Q2NORM)",
        file="bgedv2_QNORM.gctx",
        urls=(),
        sha256=None,
        size=None,
        licence=f"{_NO_LICENCE}. {_DGEX}",
        ask=_AUTHORS,
    ),
    Source(
        name="gtex",
        title="GTEx RNA-seq before its official release, 2,921 profiles × 55,993 genes",
        file="GTEx_RNASeq_RPKM_n2921x55993.gctx",
        urls=(),
        sha256=None,
        size=None,
        licence=f"{_NO_LICENCE}. {_DGEX}",
        ask=_AUTHORS,
    ),
    *(_prepared("geo", role, split) for role, split in product("xy", ("tr", "va", "te"))),
    *(_prepared(platform, role) for platform, role in product(("1000g", "gtex"), "xy")),
)
"""Every known source, in the order of the list."""


def find(name: str) -> Source:
    """Return the source of a name, or of a file's name.

    Raises:
        UserError: there is no such source. The message has near misses.
    """
    for source in SOURCES:
        if name in (source.name, source.file):
            return source
    raise unknown("source", name, [source.name for source in SOURCES])
