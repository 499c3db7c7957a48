"""genebench data: files in, a sound dataset out; or one line, and the store as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from genebench._util.hashing import code_digest
from genebench.data.store import DataStore
from genebench.data.verification import changed_files
from genebench.methods.moments import VERSION, moments
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry
from genebench.specs import Part

LANDMARKS, TWINS, TARGETS = 12, 4, 30
GENES = LANDMARKS + TARGETS - TWINS
LACKING = 3  # The GTEx file lacks this many targets, so that the default policy drops them.

SYMBOLS = [f"SYM{gene}" for gene in range(GENES)]
ENSEMBL = [f"ENSG{gene:011d}" for gene in range(GENES)]
PROBES = [[f"{gene}_at"] if gene % 5 else [f"{gene}_at", f"{gene}_s_at"] for gene in range(GENES)]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> Path:
    """A data folder for each test."""
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def make(tmp_path) -> Callable[..., Path]:
    """make(...) writes a tiny compendium and returns its manifest."""

    def make(
        *,
        name: str = "mini",
        seed: int = 0,
        profiles: int = 6,
        ids: str = "ensembl",
        extra: str = "",
    ) -> Path:
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        rng = np.random.default_rng(seed)
        write_map(folder / "lm.txt", range(LANDMARKS))
        write_map(folder / "tg.txt", range(LANDMARKS - TWINS, GENES))
        probes = [probe for probes in PROBES for probe in probes]
        write_gct(folder / "geo.gct", probes, rng.normal(8, 2, (len(probes), 20)))
        versioned = [f"{gene}.7" for gene in ENSEMBL]
        write_tsv(folder / "lcl.tsv", versioned, rng.gamma(2, 3, (GENES, 5)))
        found = GENES - LACKING
        write_gct(folder / "gtex.gct", SYMBOLS[:found], rng.gamma(2, 3, (found, profiles)))
        manifest = folder / "mini.toml"
        manifest.write_text(
            f"""
            name = "{name}"
            title = "a tiny compendium"
            recipe = "dgex"
            {extra}
            [genes]
            landmarks = "lm.txt"
            targets = "tg.txt"
            [platforms.geo]
            matrix = "geo.gct"
            ids = "probe"
            [platforms.1000g]
            matrix = "lcl.tsv"
            ids = "{ids}"
            [platforms.gtex]
            matrix = "gtex.gct"
            ids = "symbol"
            """
        )
        return manifest

    return make


def write_map(path: Path, genes: Iterable[int]) -> None:
    lines = (f"{SYMBOLS[gene]}\t{ENSEMBL[gene]}\t{','.join(PROBES[gene])}\n" for gene in genes)
    path.write_text("".join(lines))


def write_tsv(path: Path, ids: list[str], values: np.ndarray) -> None:
    header = "\t".join(["id", *(f"{path.stem}-{at}" for at in range(values.shape[1]))])
    lines = ["\t".join([name, *map(str, row)]) for name, row in zip(ids, values, strict=True)]
    path.write_text("\n".join([header, *lines]) + "\n")


def write_gct(path: Path, ids: list[str], values: np.ndarray) -> None:
    header = "\t".join(
        ["Name", "Description", *(f"{path.stem}-{at}" for at in range(values.shape[1]))]
    )
    lines = ["\t".join([name, "na", *map(str, row)]) for name, row in zip(ids, values, strict=True)]
    shape = f"{values.shape[0]}\t{values.shape[1]}"
    path.write_text("\n".join(["#1.2", shape, header, *lines]) + "\n")


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def assert_one_line_error(outcome, *fragments: str) -> None:
    assert outcome.status == 2
    assert outcome.err.startswith("genebench: error: ")
    assert outcome.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.err


def stored(home: Path, name: str) -> Path:
    """Where one file of the dataset in force is."""
    folder = home / "datasets" / "mini"
    return folder / (folder / "current").read_text().strip() / name


# Preparing and looking


def test_a_prepared_dataset_is_described_with_what_is_missing_and_how_to_use_it(genebench, make):
    outcome = genebench("data", "prepare", make())
    assert outcome.status == 0
    kept = TARGETS - LACKING
    assert f"{LANDMARKS} landmarks, {kept} targets, {TWINS} of them twins" in outcome.out
    assert "missing genes: drop" in outcome.out
    row = next(line for line in outcome.out.splitlines() if line.split()[:1] == ["gtex"])
    assert f"{kept} of {TARGETS}" in row
    assert f"\ntargets missing on gtex: {', '.join(ENSEMBL[-LACKING:])}\n" in outcome.out
    assert outcome.out.count(" missing on ") == 1, "no other platform lacks any"
    assert "genebench run --dataset mini" in outcome.out


def test_info_names_the_first_missing_genes_of_each_role_and_all_as_json(genebench, make):
    manifest = make()
    rows = (manifest.parent / "lcl.tsv").read_text().splitlines()
    (manifest.parent / "lcl.tsv").write_text("\n".join([rows[0], *rows[3:-7]]) + "\n")
    genebench("data", "prepare", manifest)
    first, more = ", ".join(ENSEMBL[-7:-2]), "(genebench data info mini --json)"
    shown = " ".join(genebench("data", "info", "mini").out.split())  # lines wrap
    assert f"landmarks missing on 1000g: {ENSEMBL[0]}, {ENSEMBL[1]} targets" in shown
    assert f"targets missing on 1000g: {first} and 2 more {more}" in shown
    told = json.loads(genebench("data", "info", "mini", "--json").out)
    lacking = told["platforms"]["1000g"]["coverage"]
    assert [lacking[role]["missing"] for role in ("landmarks", "targets")] == [
        ENSEMBL[:2],
        ENSEMBL[-7:],
    ]


def test_quiet_preparation_says_nothing(genebench, make):
    outcome = genebench("data", "prepare", make(), "--quiet")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


def test_a_prepared_dataset_is_listed_described_and_verified(genebench, make, own_home):
    genebench("data", "prepare", make())
    listing = genebench("data", "list")
    assert "mini" in listing.out
    assert "geo (20), 1000g (5), gtex (6)" in listing.out
    assert str(own_home) in "".join(listing.out.split())
    assert "mini: a tiny compendium" in genebench("data", "info", "mini").out
    verified = genebench("data", "verify", "mini")
    assert verified.status == 0
    assert "content and digest agree" in verified.out
    assert "mini" in genebench("list", "datasets").out


def test_an_empty_store_is_listed_without_an_error(genebench, own_home):
    outcome = genebench("data", "list")
    assert outcome.status == 0
    assert str(own_home) in outcome.out
    assert not own_home.exists(), "looking makes no folder"


def test_methods_run_on_a_prepared_dataset(genebench, make, tmp_path):
    genebench("data", "prepare", make())
    outcome = genebench(
        "run",
        "--dataset",
        "mini",
        "--methods",
        "lsr",
        "--notes",
        "--results",
        tmp_path / "results",
    )
    assert outcome.status == 0
    assert "mini · gtex · data " in outcome.out
    notes = genebench("report", "--notes", "--results", tmp_path / "results").out
    assert "16 train, 2 validation, 2 test" in notes
    assert "published" not in outcome.out


def test_preparing_again_from_anywhere_gives_the_same_data(genebench, make, own_home, monkeypatch):
    manifest = make()
    genebench("data", "prepare", manifest)
    before = files(own_home)
    monkeypatch.chdir(manifest.parent)
    genebench("data", "prepare", manifest.name, "--force")
    after = files(own_home)
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == []


def written(home: Path) -> int:
    """When the dataset in force was written."""
    return stored(home, "dataset.json").stat().st_mtime_ns


def test_what_is_prepared_already_is_prepared_again_by_force_only(genebench, make, own_home):
    manifest = make()
    genebench("data", "prepare", manifest)
    before, digest = written(own_home), stored(own_home, "").name
    again = genebench("data", "prepare", manifest)
    assert again.status == 0
    assert (
        f"mini: already prepared (digest {digest}). To prepare it again, use --force." in again.out
    )
    assert "genebench run --dataset mini" in again.out
    assert genebench("data", "prepare", manifest, "--quiet").out == ""
    assert written(own_home) == before
    forced = genebench("data", "prepare", manifest, "--force")
    assert "already" not in forced.out
    assert written(own_home) > before


def retitle(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace("a tiny", "another"))


def touch(name: str) -> Callable[[Path], None]:
    def touched(manifest: Path) -> None:
        path = manifest.parent / name
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1000))

    return touched


@pytest.mark.parametrize(
    "change",
    [retitle, touch("lm.txt"), touch("tg.txt"), touch("geo.gct"), touch("lcl.tsv")],
    ids=["manifest", "landmarks", "targets", "geo", "1000g"],
)
def test_a_changed_manifest_or_file_is_prepared_without_force(genebench, make, own_home, change):
    manifest = make()
    genebench("data", "prepare", manifest)
    before = written(own_home)
    change(manifest)
    assert "already" not in genebench("data", "prepare", manifest).out
    assert written(own_home) > before


READER = """
import genebench
from genebench.formats.delimited import DelimitedReader
from genebench.specs import FormatSpec

genebench_contract = 1

@genebench.hookimpl
def genebench_formats():
    return [FormatSpec(name="own", title="own", suffixes=(".own",), reader="own_reader:Own")]

class Own(DelimitedReader):
    pass
"""


def test_an_edited_reader_of_a_plugin_is_noticed(genebench, make, own_home, tmp_path, monkeypatch):
    def load(source: str) -> None:
        (tmp_path / "own_reader.py").write_text(source)
        for cached in (installed, registry, code_digest):
            cached.cache_clear()

    monkeypatch.setenv("GENEBENCH_PLUGINS", str(tmp_path / "own_reader.py"))
    manifest = make()
    (manifest.parent / "lcl.tsv").rename(manifest.parent / "lcl.own")
    manifest.write_text(manifest.read_text().replace("lcl.tsv", "lcl.own"))
    try:
        load(READER)
        assert genebench("data", "prepare", manifest).status == 0
        load(READER)
        assert "already" in genebench("data", "prepare", manifest).out
        load(READER.replace("pass", "name = 'other'"))
        assert "already" not in genebench("data", "prepare", manifest).out
    finally:
        monkeypatch.undo()
        load("")


@pytest.mark.parametrize("command", ["info", "verify", "remove", "prepare"])
def test_a_very_long_name_is_one_line(genebench, make, own_home, command):
    genebench("data", "prepare", make())
    outcome = genebench("data", command, "n" * 300)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)


FAULTY = """
import genebench
from genebench.specs import DatasetSpec

genebench_contract = 1

@genebench.hookimpl
def genebench_datasets():
    return [DatasetSpec(name="faulty", title="t", code="faulty_data:compendium")]

def compendium(preset):
    {statement}
"""


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("return {}", "returned a dict, not a Compendium"),
        ("raise SystemExit", "failed: SystemExit"),
    ],
)
def test_a_fault_of_a_dataset_of_a_plugin_is_one_line(
    genebench, own_home, install, statement, words
):
    for cached in (installed, registry):
        cached.cache_clear()
    sys.modules.pop("faulty_data", None)
    install("faulty_data", FAULTY.format(statement=statement))
    outcome = genebench("data", "prepare", "faulty")
    for cached in (installed, registry):
        cached.cache_clear()
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert f"dataset faulty: the code of plugin faulty_data (faulty_data) {words}" in outcome.err


def test_a_list_of_ids_beside_an_array_counts_as_part_of_it(genebench, make, own_home):
    manifest = make()
    genebench("data", "convert", manifest.parent / "lcl.tsv", manifest.parent / "array.npy")
    manifest.write_text(manifest.read_text().replace("lcl.tsv", "array.npy"))
    assert genebench("data", "prepare", manifest).status == 0
    ids = manifest.parent / "array.profiles.txt"
    ids.write_text(ids.read_text().replace("lcl-0", "renamed"))
    assert "already" not in genebench("data", "prepare", manifest).out
    assert "renamed" in stored(own_home, "1000g/profiles.tsv").read_text()


def test_a_damaged_dataset_is_prepared_again_without_force(genebench, make, own_home):
    manifest = make()
    genebench("data", "prepare", manifest)
    flip(stored(own_home, "geo/expression.npy"))
    assert "already" not in genebench("data", "prepare", manifest).out
    assert genebench("data", "verify", "mini").status == 0


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_what_was_worked_out_from_damaged_files_goes_when_they_are_mended(
    genebench, make, own_home, options
):
    manifest, part = make(), Part(platform="gtex")
    genebench("data", "prepare", manifest)
    expression = stored(own_home, "gtex/expression.npy")
    sound = expression.read_bytes()
    flip(expression)
    wrong = np.array(DataStore().open("mini").profiles(part, mmap=True).targets)
    assert list(stored(own_home, "cache").iterdir())

    assert genebench("data", "prepare", *options, manifest).status == 0

    assert expression.read_bytes() == sound
    assert not stored(own_home, "cache").exists()
    assert sorted(path.name for path in (own_home / "datasets" / "mini").iterdir()) == sorted(
        ["current", expression.parents[1].name]
    )
    mended = DataStore().open("mini").profiles(part, mmap=True).targets
    assert not np.array_equal(mended, wrong)


def test_an_offered_dataset_is_built_again_by_force_only(genebench, tiny, own_home):
    folder = own_home / "datasets" / "sim-tiny"
    shutil.copytree(tiny.root.parent, folder)
    description = folder / tiny.digest / "dataset.json"
    before = description.stat().st_mtime_ns
    command = ("data", "prepare", "sim", "--preset", "tiny")
    assert f"sim-tiny: already prepared (digest {tiny.digest})" in genebench(*command).out
    assert description.stat().st_mtime_ns == before
    outcome = genebench(*command, "--force")
    assert "already" not in outcome.out
    assert "To use it: genebench run --dataset sim\n" in outcome.out
    assert description.stat().st_mtime_ns > before


def test_changed_files_replace_the_dataset_and_leave_nothing_of_the_old_one(
    genebench, make, own_home
):
    genebench("data", "prepare", make(seed=0))
    genebench("data", "prepare", make(seed=1))
    assert len(list((own_home / "datasets" / "mini").iterdir())) == 2, "current and one digest"
    assert genebench("data", "verify", "mini").status == 0


def test_another_split_seed_is_other_data(genebench, make, own_home):
    genebench("data", "prepare", make())
    before = stored(own_home, "").name
    genebench("data", "prepare", make(extra="split_seed = 1"))
    assert stored(own_home, "").name != before


# Damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def lose_a_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("geo/expression.npy", flip),
        ("gtex/expression.npy", flip),
        ("geo/expression.npy", cut),
        ("geo/expression.npy", Path.unlink),
        ("geo/mean.npy", flip),
        ("geo/std.npy", flip),
        ("geo/profiles.tsv", flip),
        ("target_genes.tsv", lose_a_line),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_damaged_file_is_noticed(genebench, make, own_home, name, damage):
    genebench("data", "prepare", make(), "--quiet")
    damage(stored(own_home, name))
    outcome = genebench("data", "verify", "mini")
    assert outcome.status == 1
    assert "DAMAGED" in outcome.out
    assert "Prepare it again." in outcome.out


@pytest.mark.parametrize("name", ["geo-train.targets.npy", f"geo-train.moments-{VERSION}"])
@pytest.mark.parametrize("at", [70, 0.5, -40, -1], ids=str)
def test_a_damaged_file_of_the_cache_is_named_and_worked_out_again_once_removed(
    genebench, make, own_home, name, at
):
    genebench("data", "prepare", make(), "--quiet")

    def worked_out() -> np.ndarray:
        train = DataStore().open("mini").profiles(Part(platform="geo", split="train"), mmap=True)
        moments(train)
        return train.targets

    sound = np.array(worked_out())
    assert genebench("data", "verify", "mini").status == 0
    path = stored(own_home, f"cache/{name}")
    content = bytearray(path.read_bytes())
    content[int(at * len(content)) if isinstance(at, float) else at] ^= 1
    path.write_bytes(content)

    damaged = genebench("data", "verify", "mini")

    assert damaged.status == 1
    named, state = damaged.out.splitlines()
    assert named.startswith(f"{path}: this cache file was changed. Remove it")
    assert "DAMAGED cache" in state
    assert "prepare" not in state
    path.unlink()
    np.testing.assert_array_equal(worked_out(), sound)
    assert genebench("data", "verify", "mini").status == 0


def test_a_dataset_without_its_description_is_one_line(genebench, make, own_home):
    genebench("data", "prepare", make(), "--quiet")
    stored(own_home, "dataset.json").write_text("{")
    assert_one_line_error(genebench("data", "verify", "mini"), "mini", "Prepare mini again.")


def test_a_damaged_dataset_does_not_hide_the_others_in_the_list(genebench, make, own_home):
    genebench("data", "prepare", make(name="other"), "--quiet")
    genebench("data", "prepare", make(), "--quiet")
    stored(own_home, "dataset.json").write_text("{")
    outcome = genebench("data", "list")
    assert outcome.status == 0
    assert "other" in outcome.out
    assert "damaged" in outcome.out


def test_a_damaged_built_in_dataset_is_built_again(genebench, tiny, own_home, tmp_path):
    folder = own_home / "datasets" / "sim-tiny"
    shutil.copytree(tiny.root.parent, folder)
    (folder / tiny.digest / "dataset.json").write_text("{")
    outcome = genebench(
        "run", "--preset", "tiny", "--methods", "lsr", "--results", tmp_path / "results"
    )
    assert outcome.status == 0, outcome.err


# Mistakes


@pytest.mark.parametrize("name", ["sim", "sim-tiny", "sim-paper"])
def test_the_name_of_a_built_in_dataset_is_refused(genebench, make, own_home, name):
    outcome = genebench("data", "prepare", make(name=name))
    assert_one_line_error(outcome, name, "Choose another name.")
    assert files(own_home) == {}


@pytest.mark.parametrize("name", ["Mini", "../up", "a b", ""])
def test_a_malformed_name_is_refused(genebench, make, own_home, name):
    assert_one_line_error(genebench("data", "prepare", make(name=name)), "mini.toml", "malformed")
    assert files(own_home) == {}


def test_missing_genes_are_an_error_when_the_manifest_says_so(genebench, make, own_home):
    outcome = genebench("data", "prepare", make(extra='missing_genes = "error"'))
    assert_one_line_error(outcome, "gtex.gct", "3 genes", ENSEMBL[-1], 'missing_genes = "drop"')
    assert files(own_home) == {}


def test_fewer_than_three_profiles_are_refused(genebench, make, own_home):
    outcome = genebench("data", "prepare", make(profiles=2))
    assert_one_line_error(outcome, "gtex.gct", "2 profiles", "at least 3")
    assert files(own_home) == {}


def test_ids_of_the_wrong_kind_are_refused_with_the_kind_that_would_match(
    genebench, make, own_home
):
    outcome = genebench("data", "prepare", make(ids="symbol"))
    assert_one_line_error(outcome, "lcl.tsv", "symbol", 'Write ids = "ensembl"')
    assert files(own_home) == {}


def test_a_missing_manifest_is_one_line(genebench, tmp_path):
    assert_one_line_error(genebench("data", "prepare", tmp_path / "no.toml"), "no.toml", "no such")


def test_a_folder_for_a_manifest_is_one_line(genebench, tmp_path):
    assert_one_line_error(genebench("data", "prepare", tmp_path), str(tmp_path))


def test_a_missing_matrix_is_named_with_the_key_of_the_manifest(genebench, make):
    manifest = make()
    (manifest.parent / "gtex.gct").unlink()
    outcome = genebench("data", "prepare", manifest)
    assert_one_line_error(outcome, "mini.toml", "platforms.gtex.matrix", "gtex.gct")


def test_a_bad_cell_deep_in_a_file_leaves_nothing(genebench, make, own_home):
    manifest = make()
    path = manifest.parent / "gtex.gct"
    lines = path.read_text().splitlines()
    lines[10] = "\t".join([*lines[10].split("\t")[:-1], "oops"])
    path.write_text("\n".join(lines) + "\n")
    outcome = genebench("data", "prepare", manifest)
    assert_one_line_error(outcome, "gtex.gct", "oops", SYMBOLS[7], "gtex-5")
    assert files(own_home) == {}


@pytest.mark.parametrize("command", ["info", "verify"])
def test_an_unknown_dataset_is_one_line_with_near_misses(genebench, make, command):
    genebench("data", "prepare", make(), "--quiet")
    assert_one_line_error(genebench("data", command, "mimi"), "dataset 'mimi'", "mini")


# What may happen in the middle


def prepare_with_full_disk(manifest: Path, limit: int) -> subprocess.CompletedProcess[str]:
    """Prepare in a process that cannot write a file longer than ``limit``."""
    code = (
        "import resource, sys\n"
        "from genebench.cli import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "main(['data', 'prepare', sys.argv[1]])\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(manifest)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("limit", [1000, 2500], ids=["in the ranks", "in the expression"])
def test_a_full_disk_is_one_line_and_nothing_is_left(make, own_home, limit):
    done = prepare_with_full_disk(make(), limit)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "no space left" in done.stderr
    assert "GENEBENCH_HOME" in done.stderr
    assert list(own_home.glob("datasets/*")) == []


def test_a_full_disk_leaves_the_earlier_dataset_of_that_name_as_it_was(genebench, make, own_home):
    genebench("data", "prepare", make(seed=0), "--quiet")
    before = files(own_home)
    assert prepare_with_full_disk(make(seed=1), 2500).returncode == 2
    assert files(own_home) == before
    assert [path.name for path in own_home.glob("datasets/mini/.*")] == []
    assert genebench("data", "verify", "mini").status == 0


@pytest.mark.parametrize("step", ["gene_statistics", "write_table", "_describe"])
def test_ctrl_c_while_preparing_leaves_the_store_as_it_was(
    genebench, make, own_home, monkeypatch, step
):
    genebench("data", "prepare", make(seed=0), "--quiet")
    before = files(own_home)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"genebench.preprocessing.recipe.{step}", interrupt)
        outcome = genebench("data", "prepare", make(seed=1))
    assert outcome.status == 130
    assert "interrupted" in outcome.err
    assert files(own_home) == before
    assert genebench("data", "prepare", make(seed=1)).status == 0


def test_a_data_folder_that_is_a_file_is_one_line(genebench, make, own_home):
    own_home.write_text("mine\n")
    assert_one_line_error(genebench("data", "prepare", make()), "GENEBENCH_HOME")
    assert own_home.read_text() == "mine\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_folder_without_permission_is_one_line(genebench, make, own_home):
    own_home.mkdir(mode=0o555)
    assert_one_line_error(genebench("data", "prepare", make()), "GENEBENCH_HOME")


def test_a_dataset_in_use_is_removed_once_it_is_free(genebench, make, own_home):
    genebench("data", "prepare", make(), "-q")
    used = DataStore().open("mini")
    outcome = genebench("data", "remove", "mini")
    assert outcome.status == 0
    assert outcome.out == (
        "removed mini. A process uses its files. "
        "The next genebench data prepare or remove deletes them.\n"
    )
    assert changed_files(used) == []
    del used
    DataStore().sweep()
    assert not (own_home / "datasets" / "mini").exists()


def test_a_damaged_dataset_can_be_removed(genebench, make, own_home):
    genebench("data", "prepare", make(), "-q")
    stored(own_home, "dataset.json").write_text("[]")
    outcome = genebench("data", "remove", "mini")
    assert (outcome.status, outcome.out) == (0, "removed mini\n")
    assert not (own_home / "datasets" / "mini").exists()


def test_a_removed_dataset_is_gone_and_the_others_stay(genebench, make, own_home):
    genebench("data", "prepare", make())
    assert genebench("data", "remove", "mini").status == 0
    assert genebench("data", "remove", "mini").status == 2
    assert not list(own_home.rglob("expression.npy"))
    assert genebench("data", "prepare", make(), "--quiet").status == 0
    assert genebench("data", "verify", "mini").status == 0


def test_two_processes_may_prepare_the_same_dataset_at_once(genebench, make, own_home):
    command = [
        sys.executable, "-c", "from genebench.cli import main; main()",
        "data", "prepare", str(make()), "--quiet",
    ]  # fmt: skip
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    complaints = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], complaints
    assert genebench("data", "verify", "mini").status == 0
    folder = own_home / "datasets" / "mini"
    assert len(list(folder.iterdir())) == 2, "the name in force, and one folder"
