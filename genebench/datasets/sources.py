"""Public files of the published protocols: addresses, checksums, licences."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
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
        sha512: published checksum, if the publisher states no SHA-256.
        md5: published checksum, if the publisher states no better one.
        size: bytes, or None if unknown.
        licence: terms of use, and the paper to cite.
        ask: place to ask if there is no address, or none responds.
        most_bytes: bytes at which a download of unknown size is given up.
        unpacked: name on disk of the file that is packed in this one (``.gz`` or ``.zip``), or an
            empty text if it is used as it is.
        rolling: True if the address always serves the newest version of the file.
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
    sha512: str | None = None
    unpacked: str = ""
    rolling: bool = False

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
        for algorithm in ("sha256", "sha512", "md5"):
            if digest := getattr(self, algorithm):
                return f"{algorithm}:{digest}"
        return None


_REPOSITORY = "https://github.com/uci-cbcl/D-GEX"
_COMMIT = "384b2e705f34d91f66644f24043d271b6579bf9a"
_MAP_URLS = (
    f"https://raw.githubusercontent.com/uci-cbcl/D-GEX/{_COMMIT}",
    f"{_REPOSITORY}/raw/{_COMMIT}",
)
_EBI = "https://ftp.ebi.ac.uk/biostudies"
_UCI = "https://cbcl.ics.uci.edu/public_data/D-GEX"
_GTEX = "https://storage.googleapis.com/adult-gtex"
_OLD_GTEX = "https://storage.googleapis.com/gtex_analysis_v8"
_GEO = "https://ftp.ncbi.nlm.nih.gov/geo/series"
_GTEX_TPM = "GTEx_Analysis_2017-06-05_v8_RNASeQCv1.1.9_gene_tpm.gct.gz"
_GTEX_SAMPLES = "GTEx_Analysis_v8_Annotations_SampleAttributesDS.txt"
_L1000_GTEX = "GSE92743_Broad_GTEx_L1000_Level3_Q2NORM_n3176x12320.gctx"
_RNASEQ_GTEX = "GSE92743_Broad_GTEx_RNAseq_Log2RPKM_q2norm_n3176x12320.gctx"
_GD462 = "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt.gz"
_AUTHORS = (
    f"the authors of D-GEX, as the README of {_REPOSITORY} says "
    "(the GGAN paper had the data from https://cbcl.ics.uci.edu/public_data/D-GEX/)"
)
_EBI_TERMS = "open data at EMBL-EBI, under its terms (https://www.ebi.ac.uk/about/terms-of-use)"
_GTEX_TERMS = (
    "open access, under the terms of the GTEx Portal (https://gtexportal.org). Cite The GTEx "
    "Consortium 2020, doi:10.1126/science.aaz1776"
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


def _e_mtab_62(name: str, title: str, file: str, unpacked: str = "") -> Source:
    addresses = (
        f"{_EBI}/fire/E-MTAB-/062/E-MTAB-62/Files",
        "https://www.ebi.ac.uk/biostudies/files/E-MTAB-62",
        "https://www.ebi.ac.uk/arrayexpress/files/E-MTAB-62",
    )
    return Source(
        name=name,
        title=title,
        file=file,
        urls=tuple(f"{address}/{file}" for address in addresses),
        sha256=None,
        size=None,
        licence=f"{_EBI_TERMS}. Cite Lukk et al. 2010, doi:10.1038/nbt0410-322",
        ask="E-MTAB-62 at https://www.ebi.ac.uk/biostudies/arrayexpress/studies/E-MTAB-62",
        unpacked=unpacked,
    )


def _gse92743(name: str, title: str, file: str, unpacked: str = "") -> Source:
    return Source(
        name=name,
        title=title,
        file=file,
        urls=(f"{_GEO}/GSE92nnn/GSE92743/suppl/{file}",),
        sha256=None,
        size=None,
        licence=(
            "public data of GEO (https://www.ncbi.nlm.nih.gov/geo/info/disclaimer.html). Cite "
            "Subramanian et al. 2017, doi:10.1016/j.cell.2017.10.049"
        ),
        ask="GSE92743 at https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GSE92743",
        unpacked=unpacked,
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
        licence=f"{_EBI_TERMS}. Cite Lappalainen et al. 2013, doi:10.1038/nature12531",
        ask="E-GEUV-1 at https://www.ebi.ac.uk/biostudies/arrayexpress/studies/E-GEUV-1",
    ),
    Source(
        name="geo",
        title="GEO microarrays, 129,158 profiles × 22,268 probes (LINCS level 3, Q2NORM)",
        file="bgedv2_QNORM.gctx",
        urls=(f"{_UCI}/bgedv2_QNORM.gctx",),
        sha256=None,
        size=None,
        licence=f"{_NO_LICENCE}. {_DGEX}",
        ask=_AUTHORS,
    ),
    Source(
        name="gtex",
        title="GTEx RNA-seq before its official release, 2,921 profiles × 55,993 genes",
        file="GTEx_RNASeq_RPKM_n2921x55993.gctx",
        urls=(f"{_UCI}/GTEx_RNASeq_RPKM_n2921x55993.gctx",),
        sha256=None,
        size=None,
        licence=f"{_NO_LICENCE}. {_DGEX}",
        ask=_AUTHORS,
    ),
    Source(
        name="l1000",
        title="L1000 profiles of D-GEX's authors, 1,328,098 profiles × 22,268 probes",
        file="l1000_n1328098x22268.gctx",
        urls=(f"{_UCI}/l1000_n1328098x22268.gctx",),
        sha256=None,
        size=None,
        licence=f"{_NO_LICENCE}. {_DGEX}",
        ask=_AUTHORS,
        most_bytes=150_000_000_000,
    ),
    _e_mtab_62(
        "e-mtab-62",
        "a map of human expression: 5,372 HG-U133A arrays of 206 studies, by RMA",
        "E-MTAB-62.processed.2.zip",
        "E-MTAB-62.hgu133a.csv",
    ),
    _e_mtab_62("e-mtab-62-samples", "the samples of E-MTAB-62 (SDRF)", "E-MTAB-62.sdrf.txt"),
    Source(
        name="gtex-v8",
        title="GTEx v8 RNA-seq, TPM of 56,200 genes in 17,382 samples",
        file=_GTEX_TPM,
        urls=(
            f"{_GTEX}/bulk-gex/v8/rna-seq/{_GTEX_TPM}",
            f"{_OLD_GTEX}/rna_seq_data/{_GTEX_TPM}",
        ),
        sha256="ec783825ebebb8ba8525b73cb7ff9577162bc0d2e8a7fdc408283b7639c306fb",
        size=None,
        licence=_GTEX_TERMS,
        ask="https://gtexportal.org/home/downloads/adult-gtex/bulk_tissue_expression",
    ),
    Source(
        name="gtex-v8-samples",
        title="attributes of the samples of GTEx v8",
        file=_GTEX_SAMPLES,
        urls=(
            f"{_GTEX}/annotations/v8/metadata-files/{_GTEX_SAMPLES}",
            f"{_OLD_GTEX}/annotations/{_GTEX_SAMPLES}",
        ),
        sha256="74f6ab4c34ed2648d708a0ae6e6dff324f6c86ea723ae7d1c37d76f5221148f0",
        size=None,
        licence=_GTEX_TERMS,
        ask="https://gtexportal.org/home/downloads/adult-gtex/metadata",
    ),
    _gse92743(
        "l1000-gtex-l1000",
        "L1000 of 3,176 samples of GTEx, 12,320 genes (level 3, Q2NORM)",
        f"{_L1000_GTEX}.gz",
        _L1000_GTEX,
    ),
    _gse92743(
        "l1000-gtex-rnaseq",
        "RNA-seq of the same 3,176 samples of GTEx, 12,320 genes (log2 RPKM, Q2NORM)",
        f"{_RNASEQ_GTEX}.gz",
        _RNASEQ_GTEX,
    ),
    _gse92743(
        "l1000-gtex-genes",
        "the genes of both, with Entrez ids and symbols",
        "GSE92743_Broad_GTEx_gene_info.txt.gz",
    ),
    _gse92743(
        "l1000-gtex-samples",
        "the samples of both",
        "GSE92743_Broad_GTEx_inst_info.txt.gz",
    ),
    *(_prepared("geo", role, split) for role, split in product("xy", ("tr", "va", "te"))),
    *(_prepared(platform, role) for platform, role in product(("1000g", "gtex"), "xy")),
)
"""Every known source, in the order of the list."""


@dataclass(frozen=True)
class Collection:
    """Sources that make one dataset, with the manifest that prepares it.

    Args:
        name: name of the collection, of its manifest and of the dataset.
        title: description in a line.
        sources: names of the sources.
    """

    name: str
    title: str
    sources: tuple[str, ...]

    @property
    def manifest(self) -> str:
        """Name on disk of the manifest, beside the files."""
        return f"{self.name}.toml"

    def manifest_text(self) -> bytes:
        """Return the manifest as genebench ships it."""
        return files("genebench.datasets").joinpath("manifests", self.manifest).read_bytes()


COLLECTIONS: tuple[Collection, ...] = (
    Collection(
        "public-array",
        "the three roles of the paper from public files: E-MTAB-62, GEUVADIS, GTEx v8",
        (
            *("landmarks", "targets", "e-mtab-62", "e-mtab-62-samples", "geuvadis"),
            *("gtex-v8", "gtex-v8-samples"),
        ),
    ),
    Collection(
        "l1000-gtex",
        "landmarks by L1000, targets by RNA-seq of the same samples of GTEx (GSE92743)",
        (
            *("landmarks", "targets", "l1000-gtex-l1000", "l1000-gtex-rnaseq"),
            *("l1000-gtex-genes", "l1000-gtex-samples"),
        ),
    ),
    Collection(
        "dgex-originals",
        "the originals that D-GEX and GGAN were published on",
        ("landmarks", "targets", "geo", "geuvadis", "gtex"),
    ),
)
"""Every known collection."""


def find_collection(name: str) -> Collection | None:
    """Return the collection of a name, or None."""
    return next((item for item in COLLECTIONS if item.name == name), None)


def find(name: str) -> Source:
    """Return the source of a name, or of a file's name.

    Raises:
        UserError: there is no such source. The message has near misses.
    """
    for source in SOURCES:
        if name in (source.name, source.file):
            return source
    known = [source.name for source in SOURCES] + [item.name for item in COLLECTIONS]
    raise unknown("source", name, known)
