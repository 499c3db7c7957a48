"""Public collections: files in the form of the originals come from a server, and become a table.

The originals are not read here. Each file is small and generated, with the names, the ids and the
layout of the original.
"""

from __future__ import annotations

import gzip
import hashlib
import shlex
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest

from genebench.data.store import DataStore
from genebench.datasets import sources

README = Path(__file__).parents[2] / "README.md"
LANDMARKS, TARGETS, TWINS = 12, 30, 4
GENES = LANDMARKS + TARGETS - TWINS
ENSEMBL = [f"ENSG{1000 + gene:011d}" for gene in range(GENES)]
SYMBOLS = [f"GENE{gene}" for gene in range(GENES)]
PROBES = [f"{2000 + gene}_at" for gene in range(GENES)]
ENTREZ = [str(10 + gene) for gene in range(GENES)]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def expression(profiles: int, seed: int, columns: int = GENES) -> np.ndarray:
    """Return log2 expression of three factors, profiles × genes."""
    random = np.random.default_rng(seed)
    loadings = np.random.default_rng(1).normal(size=(3, columns))
    levels = np.random.default_rng(2).uniform(5, 10, columns)
    noise = random.normal(scale=0.3, size=(profiles, columns))
    return np.clip(levels + random.normal(size=(profiles, 3)) @ loadings + noise, 1, 15)


def gene_maps(www: Path) -> None:
    for name, genes in (
        ("map_lm.txt", range(LANDMARKS)),
        ("map_tg.txt", range(LANDMARKS - TWINS, GENES)),
    ):
        rows = [f"{SYMBOLS[gene]}\t{ENSEMBL[gene]}\t{PROBES[gene]}" for gene in genes]
        (www / name).write_text("\n".join([*rows, ""]))


def e_mtab_62(www: Path) -> None:
    """The archive of the MAGE-TAB matrix, and its SDRF."""
    arrays = [f"GSM{100 + number}.CEL" for number in range(30)]
    lines = [
        "\t".join(['"Hybridization REF"', *(f'"{name}"' for name in arrays)]),
        "\t".join(['"CompositeElement REF"', *('"RMA"' for _ in arrays)]),
    ]
    for probe, row in zip(PROBES, expression(30, 3).T, strict=True):
        lines.append("\t".join([f'"{probe}"', *(f"{value:.6f}" for value in row)]))
    with zipfile.ZipFile(www / "E-MTAB-62.processed.2.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("hgu133a_rma_okFiles_080619_MAGETAB.csv", "\n".join([*lines, ""]))
    header = ["Source Name", "Characteristics[4 meta-groups]", "Protocol REF", "Extract Name",
              "Protocol REF", "Hybridization Name", "Factor Value[study]"]  # fmt: skip
    rows = [
        "\t".join([name, "normal", "P-1", f"e{n}", "P-2", f"h{n}", f"GSE{n // 5}"])
        for n, name in reversed(list(enumerate(arrays)))
    ]
    (www / "E-MTAB-62.sdrf.txt").write_text("\n".join(["\t".join(header), *rows, ""]))


def geuvadis(www: Path) -> None:
    lines = [
        "\t".join(["TargetID", "Gene_Symbol", "Chr", "Coord", *(f"HG{n:05d}" for n in range(8))])
    ]
    for gene, row in enumerate(np.exp2(expression(8, 4)).T):
        cells = [f"{ENSEMBL[gene]}.3", f"{ENSEMBL[gene]}.3", "1", "1", *(f"{x:.5f}" for x in row)]
        lines.append("\t".join(cells))
    text = "\n".join([*lines, ""]).encode()
    (www / "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt.gz").write_bytes(gzip.compress(text))


def gtex_v8(www: Path) -> None:
    """TPM with versions of ids and a second copy of a gene on Y, and a table of more samples."""
    samples = [f"GTEX-{1100 + n // 3}-000{n % 3}-SM-5GZZ7" for n in range(12)]
    rows = [
        "\t".join([f"{ENSEMBL[gene]}.12", SYMBOLS[gene], *(f"{value:.4g}" for value in row)])
        for gene, row in enumerate(np.exp2(expression(12, 5)).T)
    ]
    rows.append("\t".join([f"{ENSEMBL[0]}.12_PAR_Y", SYMBOLS[0], *("0" for _ in samples)]))
    head = ["#1.2", f"{len(rows)}\t12", "\t".join(["Name", "Description", *samples])]
    name = "GTEx_Analysis_2017-06-05_v8_RNASeQCv1.1.9_gene_tpm.gct.gz"
    (www / name).write_bytes(gzip.compress("\n".join([*head, *rows, ""]).encode()))
    told = [f'{sample}\tB1\t2 pieces, "focal" fat\tLung' for sample in [*samples, "K-562-SM-1"]]
    text = "\n".join(["SAMPID\tSMCENTER\tSMPTHNTS\tSMTS", *told, ""])
    (www / "GTEx_Analysis_v8_Annotations_SampleAttributesDS.txt").write_text(text)


def gctx(path: Path, values: np.ndarray, genes: list[str], profiles: list[str]) -> None:
    """Write a GCTX of the Connectivity Map, gzipped as GEO serves it."""
    plain = path.with_suffix("")
    with h5py.File(plain, "w") as file:
        file.attrs["version"] = "GCTX1.0"
        file["0/DATA/0/matrix"] = values.astype(np.float32)
        file["0/META/ROW/id"] = np.array(genes, "S20")
        file["0/META/COL/id"] = np.array(profiles, "S40")
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


L1000_IDS = [f"GTEX-{1100 + n // 4}-000{n % 4}-SM" for n in range(40)]


def l1000_gtex(www: Path, *, same_ids: bool = True) -> None:
    """Both platforms of GSE92743. RNA-seq has its profiles and genes in another order."""
    values = expression(40, 6)
    beads = values + np.random.default_rng(7).normal(scale=0.2, size=values.shape)
    name = "GSE92743_Broad_GTEx_L1000_Level3_Q2NORM_n3176x12320.gctx.gz"
    gctx(www / name, beads, ENTREZ, L1000_IDS)
    turned = L1000_IDS[::-1] if same_ids else [f"RNA-{n}" for n in range(40)][::-1]
    name = "GSE92743_Broad_GTEx_RNAseq_Log2RPKM_q2norm_n3176x12320.gctx.gz"
    gctx(www / name, values[::-1, ::-1], ENTREZ[::-1], turned)
    rows = [f"{ENTREZ[g]}\t{SYMBOLS[g]}\ttitle {g}\t{int(g < LANDMARKS)}\t1" for g in range(GENES)]
    header = "pr_gene_id\tpr_gene_symbol\tpr_gene_title\tpr_is_lm\tpr_is_bing"
    text = "\n".join([header, *rows, ""]).encode()
    (www / "GSE92743_Broad_GTEx_gene_info.txt.gz").write_bytes(gzip.compress(text))
    told = [f"{id_}\tRNA-{n}\t{id_[:9]}" for n, id_ in enumerate(L1000_IDS)]
    text = "\n".join(["inst_id\trna_id\tdonor", *told, ""]).encode()
    (www / "GSE92743_Broad_GTEx_inst_info.txt.gz").write_bytes(gzip.compress(text))


def dgex_originals(www: Path) -> None:
    for name, seed, size in (
        ("bgedv2_QNORM.gctx", 3, 30),
        ("GTEx_RNASeq_RPKM_n2921x55993.gctx", 5, 9),
    ):
        arrays = seed == 3
        values = expression(size, seed) if arrays else np.exp2(expression(size, seed))
        genes = PROBES if arrays else [f"{id_}.7" for id_ in ENSEMBL]
        with h5py.File(www / name, "w") as file:
            file["0/DATA/0/matrix"] = values.astype(np.float32)
            file["0/META/ROW/id"] = np.array(genes, "S20")
            file["0/META/COL/id"] = np.array([f"P{n}" for n in range(size)], "S20")
    geuvadis(www)


@pytest.fixture
def www(tmp_path, monkeypatch) -> Iterator[Path]:
    """The folder of a server on this machine, which all sources are pointed to."""
    folder = tmp_path / "www"
    folder.mkdir()
    gene_maps(folder)
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        local = tuple(
            # The generated files have other checksums than the originals.
            replace(one, urls=(f"{address}/{one.file}",), sha256=None, md5=None, size=None)
            for one in sources.SOURCES
        )
        monkeypatch.setattr(sources, "SOURCES", local)
        yield folder
        server.shutdown()


def run_all(genebench, tmp_path, name: str, protocol: str):
    """Fetch, prepare and run a collection, one command each. Return the outcome of the run."""
    for command in (
        ("data", "fetch", name),
        ("data", "prepare", name),
        ("run", "--dataset", name, "--preset", "tiny", "--methods", "lsr-l2", "--protocol",
         protocol, "--results", tmp_path / "results"),
    ):  # fmt: skip
        outcome = genebench(*command)
        assert outcome.status == 0, outcome.err
    return outcome


def test_public_array_from_the_server_to_a_table(genebench, www, tmp_path):
    e_mtab_62(www)
    geuvadis(www)
    gtex_v8(www)
    # As the README has it, with a small size of the methods.
    block = README.read_text("utf-8").partition("```\ngenebench data fetch public-array\n")[2]
    commands = ["genebench data fetch public-array", *block.partition("```")[0].splitlines()]
    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command)[1:]
        if words[0] == "run":
            words += ["--preset", "tiny", "--results", str(tmp_path / "results")]
        outcome = genebench(*words)
        assert outcome.status == 0, outcome.err
    assert "lsr-l2" in outcome.out
    dataset = DataStore().open("public-array")
    assert {name: part["profiles"] for name, part in dataset.info["platforms"].items()} == {
        "geo": 30, "1000g": 8, "gtex": 12,
    }  # fmt: skip
    assert dataset.info["landmarks"] == LANDMARKS
    assert dataset.info["targets"] == TARGETS
    arrays, samples = dataset.profile_table("geo"), dataset.profile_table("gtex")
    assert arrays.loc["GSM107.CEL", "Factor Value[study]"] == "GSE1"
    assert arrays.loc["GSM107.CEL", "Protocol REF.2"] == "P-2"
    assert samples["group"].tolist()[:4] == ["GTEX-1100"] * 3 + ["GTEX-1101"]
    assert samples["SMTS"].tolist() == ["Lung"] * 12
    # Everything is done already.
    assert "already prepared" in genebench("data", "prepare", "public-array").out


def test_the_study_in_the_sdrf_can_become_the_group(genebench, www, tmp_path):
    e_mtab_62(www)
    geuvadis(www)
    gtex_v8(www)
    assert genebench("data", "fetch", "public-array").status == 0
    manifest = tmp_path / "home" / "downloads" / "public-array.toml"
    text = manifest.read_text("utf-8")
    manifest.write_text(text.replace('# group = "…"', 'group = "study"'), "utf-8")
    outcome = genebench("data", "prepare", "public-array")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert "Factor Value[study]" in outcome.err
    manifest.write_text(text.replace('# group = "…"', 'group = "Factor Value[study]"'), "utf-8")
    assert genebench("data", "prepare", "public-array").status == 0
    assert "test" in DataStore().open("public-array").split("geo", "group").tolist()
    # An edited manifest is never overwritten.
    assert genebench("data", "fetch", "public-array").status == 0
    assert "Factor Value[study]" in manifest.read_text("utf-8")


def test_l1000_gtex_from_the_server_to_a_table(genebench, www, tmp_path):
    l1000_gtex(www)
    table = run_all(genebench, tmp_path, "l1000-gtex", "l1000").out
    assert "lsr-l2" in table
    dataset = DataStore().open("l1000-gtex")
    assert dataset.profile_table("l1000").index.tolist() == L1000_IDS
    assert dataset.info["twins"] == TWINS
    stored, values = np.array(dataset.expression("l1000")), expression(40, 6)
    # Targets are those of RNA-seq, of the same sample and gene. Landmarks are those of L1000.
    assert np.allclose(stored[:, LANDMARKS:], values[:, LANDMARKS - TWINS :], atol=1e-5)
    assert np.abs(stored[:, :LANDMARKS] - values[:, :LANDMARKS]).mean() > 0.1
    split = dataset.split("l1000", "l1000")
    assert split.tolist() == ["train"] * 31 + ["validation"] * 6 + ["test"] * 3
    shown = genebench("data", "info", "l1000-gtex").out
    assert "two assays of the same samples" in shown
    assert "by rank" not in shown


def test_all_protocols_are_those_that_a_dataset_has_the_platforms_for(genebench, www, tmp_path):
    l1000_gtex(www)
    for command in (("data", "fetch", "l1000-gtex"), ("data", "prepare", "l1000-gtex")):
        assert genebench(*command).status == 0
    manifest = tmp_path / "home" / "downloads" / "l1000-gtex.toml"
    table = '[platforms.l1000]\nprofiles = "GSE92743_Broad_GTEx_inst_info.txt.gz"\ngroup = "donor"'
    manifest.write_text(manifest.read_text("utf-8").replace("[platforms.l1000]", table, 1), "utf-8")
    assert genebench("data", "prepare", "l1000-gtex").status == 0
    ran = genebench("run", "--dataset", "l1000-gtex", "--preset", "tiny", "--methods", "lsr-l2",
                    "--protocol", "all", "--results", tmp_path / "r")  # fmt: skip
    assert ran.status == 0, ran.err
    assert "l1000-donors" in ran.out
    refused = genebench("run", "--dataset", "l1000-gtex", "--methods", "lsr-l2",
                        "--protocol", "geo", "--results", tmp_path / "r")  # fmt: skip
    assert refused.status == 2
    assert "needs platform geo" in refused.err


def test_ids_that_differ_are_paired_by_a_column_of_the_profile_table(genebench, www, tmp_path):
    l1000_gtex(www, same_ids=False)
    assert genebench("data", "fetch", "l1000-gtex").status == 0
    refused = genebench("data", "prepare", "l1000-gtex")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "share 0 profiles" in refused.err
    assert "'RNA-39'" in refused.err
    assert DataStore().open("l1000-gtex") is None
    manifest = tmp_path / "home" / "downloads" / "l1000-gtex.toml"
    text = manifest.read_text("utf-8").replace("# profiles =", "profiles =")
    manifest.write_text(text.replace('# target_profile = "…"', 'target_profile = "rna_id"'))
    assert genebench("data", "prepare", "l1000-gtex").status == 0
    stored = np.array(DataStore().open("l1000-gtex").expression("l1000"))
    values = expression(40, 6)
    assert np.allclose(stored[:, LANDMARKS:], values[:, LANDMARKS - TWINS :], atol=1e-5)


def test_the_originals_of_dgex_from_the_server_to_a_table(genebench, www, tmp_path):
    dgex_originals(www)
    assert "lsr-l2" in run_all(genebench, tmp_path, "dgex-originals", "geo,gtex").out


def test_a_file_that_does_not_come_is_named_and_no_manifest_is_written(genebench, www, tmp_path):
    l1000_gtex(www)
    (www / "GSE92743_Broad_GTEx_gene_info.txt.gz").unlink()
    outcome = genebench("data", "fetch", "l1000-gtex")
    assert outcome.status == 1
    assert "failed: l1000-gtex-genes" in outcome.err
    assert not (tmp_path / "home" / "downloads" / "l1000-gtex.toml").exists()
    refused = genebench("data", "prepare", "l1000-gtex")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "l1000-gtex is not fetched yet. Run genebench data fetch l1000-gtex." in refused.err


def test_a_file_that_changed_on_the_server_is_refused(genebench, www, tmp_path):
    e_mtab_62(www)
    downloads = tmp_path / "home" / "downloads"
    assert genebench("data", "fetch", "e-mtab-62").status == 0
    first = hashlib.sha256((downloads / "E-MTAB-62.processed.2.zip").read_bytes()).hexdigest()
    assert first in (downloads / "E-MTAB-62.processed.2.zip.sha256").read_text()
    (downloads / "E-MTAB-62.processed.2.zip").unlink()
    with zipfile.ZipFile(www / "E-MTAB-62.processed.2.zip", "a") as archive:
        archive.writestr("more.txt", "more")
    refused = genebench("data", "fetch", "e-mtab-62")
    assert refused.status == 2
    assert "gives another file than the first time" in refused.err
    assert not (downloads / "E-MTAB-62.processed.2.zip").exists()
