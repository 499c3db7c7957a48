"""Files that a stranger wrote: each is a fault of its own record, and stops nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genebench import api
from genebench._util.hashing import checksum_of, key_of
from genebench.analysis.audit import audit
from genebench.errors import UserError
from genebench.leaderboard.assembly import build
from genebench.models.saved import open_model
from genebench.plugins.registry import registry
from genebench.results import limits
from genebench.results.bundle import opened, write_bundle
from genebench.results.checks import verify
from genebench.results.merge import merge
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.results.untrusted import map_matrix, open_zip, read_arrays, read_file

EXAMPLES = Path(__file__).parent / "examples"

FUZZED_FILES = int(os.environ.get("GENEBENCH_FUZZED_FILES", "40"))
"""Mutations of each kind of file. The suite makes a few, and a person more by hand."""


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def with_header(descr: str, shape: str, values: bytes = b"") -> bytes:
    """Return a .npy file whose header says anything."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


def sealed(store, record, entries) -> None:
    """Write vectors and a record that agrees with them, as somebody with a program would."""
    with zipfile.ZipFile(store.paths.vectors(record)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {f"{name}.npy": data for name, data in entries.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    replaced(store, record, stream.getvalue())


def replaced(store, record, content: bytes, kind=None) -> None:
    """Replace vectors, or a kept file, by another whose digest is in its name and the record."""
    path = store.paths.kept(record, kind) if kind else store.paths.vectors(record)
    path.unlink()
    digest = hashlib.sha256(content).hexdigest()
    store.paths.new(record.key, digest, kind).write_bytes(content)
    rewritten(store, record, **{kind or "vectors": digest})


def rewritten(store, record, **changes) -> None:
    """Write a record's document with other values and its checksum."""
    path = store.paths.record(record.key)
    document = json.loads(path.read_bytes()) | changes
    del document["checksum"]
    path.write_text(json.dumps(document | {"checksum": checksum_of(document)}))


VECTORS = {
    "void ids": lambda n: {"gene.id": with_header("'|V8'", f"({n},)", bytes(8 * n))},
    "structured ids": lambda n: {
        "gene.id": npy(np.zeros(n, [("a", "<f8"), ("b", "<i4")])),
        "profile.id": npy(np.zeros(40, [("a", "<f8")])),
    },
    "bytes ids": lambda n: {"gene.id": npy(np.array([b"x%d" % i for i in range(n)]))},
    "ids of numbers": lambda n: {"gene.id": npy(np.arange(n))},
    "ids of floats": lambda n: {"profile.id": npy(np.linspace(0, 1, 40))},
    "one id for all": lambda n: {"gene.id": npy(np.array(["x"] * n))},
    "one profile for all": lambda n: {"profile.id": npy(np.array(["x"] * 40))},
    "long ids": lambda n: {"gene.id": npy(np.array(["x" * 2_000 + str(i) for i in range(n)]))},
    "half a character": lambda n: {
        "gene.id": with_header("'<U1'", f"({n},)", struct.pack("<I", 0xD800) * n)
    },
    "no character": lambda n: {
        "gene.id": with_header("'<U1'", f"({n},)", struct.pack("<I", 0x7FFFFFFF) * n)
    },
    "dates": lambda n: {"gene.id": npy(np.zeros(n, "M8[s]"))},
    "complex": lambda n: {"gene-metric.mae": npy(np.zeros(n, complex))},
    "float16": lambda n: {"gene-metric.mae": npy(np.full(n, 60_000, np.float16))},
    "float24": lambda n: {"gene-metric.mae": with_header("'<f3'", f"({n},)", bytes(3 * n))},
    "endless text": lambda n: {"gene.id": with_header("'<U99999999999'", f"({n},)")},
    "empty text": lambda n: {"gene.id": with_header("'<U0'", f"({n},)")},
    "endless shape": lambda n: {"gene.id": with_header("'<f8'", "(99999999999999,)")},
    "negative shape": lambda n: {"gene.id": with_header("'<f8'", "(-1,)")},
    "code": lambda n: {"gene.id": with_header("__import__('os')", f"({n},)")},
    "brackets": lambda n: {"gene.id": with_header("[" * 30_000, f"({n},)")},
    "no header": lambda n: {"gene.id": b"\x93NUMPY\x01\x00\xff\xff{"},
    "pickle": lambda n: {"gene.id": with_header("'|O'", f"({n},)", b"\x80\x04.")},
    "other names": lambda n: {"x" * 10_000: npy(np.zeros(n))},
    "no metric": lambda n: {"gene-metric.mae": npy(np.zeros(0))},
    "infinite": lambda n: {"gene-metric.mae": npy(np.full(n, np.inf))},
}


def _no_genes(record):
    return {"genes": {"landmark": 0, "target": 0}, "profiles": {**record.profiles, "test": 0}}


DOCUMENTS = {
    "no genes": _no_genes,
    "a million notes": lambda record: {"notes": ["x"] * 1_000_000},
    "a long note": lambda record: {"notes": ["x" * 50_000_000]},
    "a long curve": lambda record: {"curves": {"learning": {"epoch": [0.5] * 300_000}}},
    "many curves": lambda record: {
        "curves": {str(i): {str(j): [0.5] * 500 for j in range(50)} for i in range(50)}
    },
    "a long traceback": lambda record: {
        "status": "failed", "scores": {}, "vectors": "", "predictions": "",
        "failure": {"kind": "E", "message": "m", "traceback": "x" * 10_000_000},
    },
    "a long message": lambda record: {
        "status": "failed", "scores": {}, "vectors": "", "predictions": "",
        "failure": {"kind": "E", "message": "x" * 100_000, "traceback": ""},
    },
    "a long dataset": lambda record: {"dataset": "x" * 100_000},
    "a long key": lambda record: {"x" * 1_000_000: 1},
    "many panels": lambda record: {
        "scores": {"mae": {str(i): record.scores["mae"]["all"].model_dump() for i in range(5_000)}}
    },
    "many metrics": lambda record: {"metrics": {f"m{i}": "0" for i in range(100_000)}},
    "an endless number": lambda record: {"peak_memory": 10**4_000},
    "an endless count": lambda record: {"genes": {"landmark": 1, "target": 2**53}},
    "an endless choice": lambda record: {"choices": {"k": 10**4_000}},
    "an endless parameter": lambda record: {
        "identity": record.identity.model_dump() | {"params": {"k": 10**4_000}}
    },
    "a format beyond any": lambda record: {"format": 10**4_000},
    "a format without end": lambda record: {"format": "x" * 1_000_000},
}  # fmt: skip


def _fifo(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _endless(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def _folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def _loop(path):
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def _sparse(path):
    path.unlink(missing_ok=True)
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


NO_FILES = {function.__name__: function for function in (_fifo, _endless, _folder, _loop, _sparse)}


NO_DIGEST = "0" * 64

BESIDE = {
    "json": lambda paths, record: paths.record(record.key),
    "npz": lambda paths, record: paths.vectors(record),
    "layout-1.npz": lambda paths, record: paths.root / f"{record.key}.npz",
    "predictions.npy": lambda paths, record: paths.new(record.key, NO_DIGEST, "predictions"),
    "marks.json": lambda paths, record: paths.annotations(record.key),
}
"""Files of a record: end of the kind → path."""

# --- one folder with all of it, beside three sound records ----------------------------------------


@pytest.fixture(scope="module")
def hostile(made, tmp_path_factory) -> tuple[ResultsStore, dict[str, str]]:
    """Return a folder with a record for each kind of fault, and key → the kind."""
    store = ResultsStore(
        Path(shutil.copytree(made, tmp_path_factory.mktemp("hostile") / "results"))
    )
    lsr = next(record for record in store.records() if record.identity.method == "lsr")
    kinds: dict[str, str] = {}

    def another(kind) -> Record:
        identity = lsr.identity.model_copy(update={"seed": len(kinds) + 1})
        key = key_of(identity.model_dump())
        kinds[key] = kind
        record = lsr.model_copy(update={"identity": identity, "key": key, "predictions": ""})
        return store.write(record, store.vectors(lsr))

    for kind, entries in VECTORS.items():
        record = another(kind)
        sealed(store, record, entries(record.genes["target"]))
    for kind, changes in DOCUMENTS.items():
        record = another(kind)
        rewritten(store, record, **changes(record))
    for kind, make in NO_FILES.items():
        for suffix, path_of in BESIDE.items():
            record = another(f"{kind}.{suffix}")
            if suffix == "predictions.npy":
                rewritten(store, record, predictions=NO_DIGEST)
            if suffix == "layout-1.npz":
                store.paths.vectors(record).unlink()
            make(path_of(store.paths, record))
    return store, kinds


SOUND = ("copy-twin", "lsr", "train-mean")


def test_each_fault_of_a_stranger_is_found_in_its_record_alone(hostile):
    store, kinds = hostile
    tracemalloc.start()
    outcomes = list(audit(store, registry()))
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()
    faulty = {outcome.key: outcome.faults for outcome in outcomes if outcome.faults}
    # Marks are no part of the record. Those that cannot be read are none.
    expected = {key for key, kind in kinds.items() if not kind.endswith("marks.json")}
    assert {kinds.get(key) for key in faulty} == {kinds[key] for key in expected}
    for faults in faulty.values():
        assert all("\n" not in fault and len(fault) < 600 for fault in faults)


COMMANDS = {
    "verify": ("results", "verify"),
    "mark": ("results", "verify", "--mark"),
    "leaderboard": ("leaderboard", "--out", "site"),
    "ranks": ("report", "ranks"),
    "scores": ("report", "scores"),
    "compare": ("compare", "train-mean", "copy-twin"),
    "status": ("status",),
    "genes": ("results", "export", "--table", "genes", "--wide", "--out", "genes.csv"),
    "profiles": ("results", "export", "--table", "profiles", "--out", "profiles.csv"),
    "submit": ("results", "submit", "--name", "A", "--contact", "a@b"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_no_record_of_a_stranger_stops_a_command(
    genebench, hostile, tmp_path, monkeypatch, command
):
    store, _ = hostile
    monkeypatch.chdir(tmp_path)
    words = COMMANDS[command]
    folder = [store.root] if command == "leaderboard" else ["--results", store.root]
    outcome = genebench(*words, *folder)
    assert outcome.status in {0, 1}, outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.out) + len(outcome.err) < 100_000
    if command in {"ranks", "scores", "status"}:
        assert all(method in outcome.out for method in SOUND)


def test_a_board_shows_the_others_and_stays_small(hostile, tmp_path):
    store, kinds = hostile
    built = build([store.root], tmp_path / "site")
    shown = {path.stem for path in (tmp_path / "site" / "runs").iterdir()}
    assert {record.key for record in store.sound(thorough=True)[0]} <= shown
    # A board reads no gene ids, so that it shows records whose ids are at fault.
    assert built.runs < 3 + len(kinds) - len(DOCUMENTS)
    size = sum(path.stat().st_size for path in (tmp_path / "site").rglob("*") if path.is_file())
    assert size < 3 << 20


def test_the_others_are_merged(hostile, tmp_path):
    store, kinds = hostile
    merged = merge([store.root], tmp_path / "merged")
    marks = [key for key, kind in kinds.items() if kind.endswith("marks.json")]
    assert len(merged.added) == 3 + len(marks)
    assert all(len(line) < 600 for line in merged.refused)


def test_a_link_to_a_file_is_read_as_the_file(store, lsr, tmp_path):
    """Large predictions may lie on another disk."""
    for path in store.paths.files(lsr):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    assert verify(store.paths, store.read(lsr.key)) == []
    assert store.predictions(lsr) is not None


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("use", ["check", "check_exists", "prepare", "sound"])
def test_a_folder_whose_layout_is_no_file_is_refused(store, make, use):
    NO_FILES[make](store.paths.layout)
    with pytest.raises(UserError, match=r"genebench-results\.json: cannot be read \(.*\)\. Name"):
        getattr(store, use)()


def test_large_vectors_are_refused_before_they_are_unpacked(store, lsr):
    n = 120_000_000
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("gene-metric.mae.npy", "w") as stream,
    ):
        stream.write(with_header("'<f8'", f"({n},)"))
        for _ in range(300):
            stream.write(bytes(1 << 20))
    replaced(store, lsr, content.getvalue())
    tracemalloc.start()
    with pytest.raises(UserError, match="bytes of vectors are more than any record has"):
        store.vectors(store.read(lsr.key))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_zip_file_with_millions_of_entries_is_refused_before_they_are_listed(tmp_path):
    path = tmp_path / "entries.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    directory, end = content[start:-22], bytearray(content[-22:])
    entries = limits.ENTRIES_BYTES // len(directory) + 1
    struct.pack_into("<HHLL", end, 8, 0xFFFF, 0xFFFF, entries * len(directory), start)
    path.write_bytes(content[:start] + directory * entries + end)
    tracemalloc.start()
    with path.open("rb") as stream, pytest.raises(ValueError, match="its table of contents"):
        open_zip(stream)
    assert tracemalloc.get_traced_memory()[1] < 3 * limits.ENTRIES_BYTES
    tracemalloc.stop()


def test_a_zip_file_with_a_comment_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.comment = b"a comment"
        archive.writestr("a.npy", npy(np.arange(3)))
    with (tmp_path / "a.npz").open("rb") as stream, open_zip(stream) as archive:
        np.testing.assert_array_equal(read_arrays(archive, 1_000)["a"], [0, 1, 2])


def test_one_name_of_two_vectors_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.arange(3)))
        archive.writestr("a", npy(np.arange(4)))
    with (
        (tmp_path / "a.npz").open("rb") as stream,
        open_zip(stream) as archive,
        pytest.raises(ValueError, match="vector a is there twice"),
    ):
        read_arrays(archive, 1_000)


@pytest.mark.parametrize(
    "matrix", [np.zeros((2, 4), "f4"), np.zeros((3, 4)), np.zeros(12, "f4"), np.zeros((4, 3), "f4")]
)
def test_predictions_of_another_shape_or_type_are_refused(tmp_path, matrix):
    np.save(tmp_path / "a.npy", matrix)
    with pytest.raises(ValueError, match="it holds"):
        map_matrix(tmp_path / "a.npy", (3, 4))


def test_a_file_that_says_nothing_of_its_size_is_read_no_further_than_the_limit():
    endless = Path("/proc/self/mountinfo")
    if not endless.exists():
        pytest.skip("needs /proc")
    with pytest.raises(OSError, match="its size changes"):
        read_file(endless, 1 << 20)


# --- any bytes ------------------------------------------------------------------------------------

_INTERESTING = [b"\x00", b"\xff", b"[", b"{", b"-1", b"99999999999", b"null", b"<f3", b"\x80", b'"']


def mutated(content: bytes, source: random.Random) -> bytes:
    """Return a file with a few changed, added, removed or repeated bytes."""
    changed = bytearray(content)
    for _ in range(source.choice([1, 1, 2, 5, 20])):
        # Headers lie at the start, and tables of contents at the end.
        size = len(changed)
        place = source.choice([size, min(size, 200), min(size, 2_000)])
        position = source.randrange(max(place, 1))
        position = size - 1 - position if source.random() < 0.3 else position
        match source.randrange(5):
            case 0:
                changed[position : position + 1] = bytes([source.randrange(256)])
            case 1:
                changed[position : position + 1] = source.choice(_INTERESTING)
            case 2:
                del changed[position : position + source.choice([1, 4, 100])]
            case 3:
                changed[position:position] = source.choice(_INTERESTING) * source.choice([1, 9])
            case 4:
                piece = changed[position : position + 40]
                changed[position:position] = piece
    return bytes(changed)


def _folder_of(format_, tmp_path) -> ResultsStore:
    return ResultsStore(Path(shutil.copytree(EXAMPLES / format_, tmp_path / "fuzzed")))


@pytest.fixture
def example(store, lsr) -> tuple[ResultsStore, str]:
    return store, lsr.key


def _survives(action) -> bool:
    """Run an action that may only end well or in one line, and return whether it ended well."""
    try:
        action()
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 3_000  # noqa: PT017
        return False
    return True


@pytest.mark.parametrize("seed", range(FUZZED_FILES))
def test_any_record_is_sound_or_a_fault(example, seed):
    store, key = example
    path = store.paths.record(key)
    path.write_bytes(mutated(path.read_bytes(), random.Random(seed)))
    records, faults = store.sound(thorough=True)
    assert len(records) + len({fault.key for fault in faults}) == 3
    assert all("\n" not in fault.line and len(fault.line) < 3_000 for fault in faults)


@pytest.mark.parametrize("seed", range(FUZZED_FILES))
def test_any_vectors_are_sound_or_a_fault(example, seed):
    store, key = example
    record = store.read(key)
    content = store.paths.vectors(record).read_bytes()
    # With a digest to fit, as a stranger would write it.
    replaced(store, record, mutated(content, random.Random(seed)))
    record = store.read(key)
    faults = verify(store.paths, record)
    if _survives(lambda: store.vectors(record)):
        table = api.records(store.root)
        _survives(lambda: table.genes("mae", wide=True))
        _survives(lambda: table.profiles("mae", wide=True))
    else:
        assert faults


@pytest.mark.parametrize("seed", range(FUZZED_FILES))
def test_any_header_of_a_vector_is_read_or_refused(seed):
    source = random.Random(seed)
    content = mutated(npy(np.array(["a", "bc", "def"]))[:128], source)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("gene.id.npy", content)
    with open_zip(stream) as archive:
        try:
            read_arrays(archive, 1 << 20)
        except ValueError as error:
            assert len(str(error)) < 300  # noqa: PT017


@pytest.mark.parametrize("seed", range(FUZZED_FILES))
def test_any_marks_are_read_or_none(example, seed):
    store, key = example
    sender = {"name": "A", "contact": "a@b", "licence": "", "created": "now", "bundle": "0"}
    store.annotations.add(key, submitted=sender)
    path = store.paths.annotations(key)
    path.write_bytes(mutated(path.read_bytes(), random.Random(seed)))
    assert store.annotations.read(key).names in ([], ["submitted"])


@pytest.mark.parametrize("seed", range(FUZZED_FILES))
def test_any_predictions_are_a_matrix_or_refused(example, seed):
    store, key = example
    record = store.read(key)
    content = store.paths.kept(record, "predictions").read_bytes()
    replaced(store, record, mutated(content, random.Random(seed)), "predictions")
    record = store.read(key)
    matrices = []
    assert _survives(lambda: matrices.append(store.predictions(record))) == bool(matrices)
    assert all(matrix is not None for matrix in matrices)
    verify(store.paths, record)


@pytest.fixture(scope="module")
def bundle(made, tmp_path_factory) -> bytes:
    out = tmp_path_factory.mktemp("bundle") / "bundle.zip"
    store = ResultsStore(made)
    write_bundle(out, store, store.records(), {"name": "A", "contact": "a@b", "licence": ""})
    return out.read_bytes()


@pytest.mark.parametrize("seed", range(FUZZED_FILES))
def test_any_bundle_is_merged_or_refused(bundle, tmp_path, seed):
    path = tmp_path / "bundle.zip"
    path.write_bytes(mutated(bundle, random.Random(seed)))
    _survives(lambda: merge([path], tmp_path / "results"))

    def listed():
        with opened(path) as (_, store):
            store.sound(thorough=True)

    _survives(listed)


@pytest.mark.parametrize("seed", range(FUZZED_FILES))
def test_any_saved_model_is_opened_or_refused(tmp_path, seed):
    [source] = (EXAMPLES / "format-3").glob("58eabdef*.safetensors")
    path = tmp_path / "model.safetensors"
    path.write_bytes(mutated(source.read_bytes(), random.Random(seed)))
    _survives(lambda: open_model(path))
