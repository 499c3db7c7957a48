"""Arrays of numpy: either way round, in blocks, never unpickled, never more than they hold."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from genebench.errors import UserError
from genebench.formats.opening import open_reader

MATRIX = np.arange(15, dtype=np.float32).reshape(3, 5)
GENES = ["NA", "001", "c", "d", "é"]
PROFILES = ["p", "q", "r"]


@pytest.fixture
def save(tmp_path):
    """save(matrix): an .npy file (or what raw bytes say) with lists of ids."""

    def save(matrix=MATRIX, genes=GENES, profiles=PROFILES, name="m.npy"):
        path = tmp_path / name
        if isinstance(matrix, bytes):
            path.write_bytes(matrix)
        else:
            np.save(path, matrix, allow_pickle=True)
        for axis, ids in (("genes", genes), ("profiles", profiles)):
            if ids is not None:
                data = ids if isinstance(ids, bytes) else "\n".join(ids).encode()
                (tmp_path / f"{name[:-4]}.{axis}.txt").write_bytes(data)
        return path

    return save


@pytest.fixture
def savez(tmp_path):
    """savez(matrix=…, genes=…, profiles=…): an .npz file."""

    def savez(**arrays):
        complete = {"matrix": MATRIX, "genes": np.array(GENES), "profiles": np.array(PROFILES)}
        packed = arrays.pop("packed", True)
        kept = {name: array for name, array in (complete | arrays).items() if array is not None}
        (np.savez_compressed if packed else np.savez)(tmp_path / "m.npz", **kept)
        return tmp_path / "m.npz"

    return savez


def read(path, genes=(4, 0, 0, 2), size=2):
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == GENES
    assert reader.profiles.index.tolist() == PROFILES
    blocks = list(reader.blocks(np.array(genes, dtype=np.intp), size))
    assert all(0 < len(block) <= size for block in blocks)
    return np.concatenate(blocks)


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("matrix", [MATRIX, MATRIX.T], ids=["profiles×genes", "genes×profiles"])
def test_npy_of_either_orientation(save, matrix, order, size):
    values = read(save(np.array(matrix, order=order)), size=size)
    np.testing.assert_array_equal(values, MATRIX[:, [4, 0, 0, 2]])


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("matrix", [MATRIX, MATRIX.T], ids=["profiles×genes", "genes×profiles"])
def test_npz_of_either_orientation(savez, matrix, order, packed, size):
    path = savez(matrix=np.array(matrix, order=order), packed=packed)
    np.testing.assert_array_equal(read(path, size=size), MATRIX[:, [4, 0, 0, 2]])
    assert read(path, genes=(), size=size).shape == (3, 0)


@pytest.mark.parametrize(
    ("stored", "yielded"),
    [("f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("f2", "f4"), ("i2", "f4"), ("i8", "f8")],
)
def test_values_keep_the_precision_of_the_file(save, savez, stored, yielded):
    for path in (save(MATRIX.astype(stored)), savez(matrix=MATRIX.astype(stored))):
        block = next(open_reader(path).blocks(np.arange(5)))
        assert block.dtype == np.dtype(yielded)
        np.testing.assert_array_equal(block, MATRIX)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("turn", [False, True])
def test_a_bad_value_is_an_error_only_if_its_gene_is_requested(save, savez, value, turn):
    matrix = MATRIX.copy()
    matrix[2, 3] = value
    matrix = np.ascontiguousarray(matrix.T) if turn else matrix
    for path in (save(matrix), savez(matrix=matrix)):
        assert read(path, genes=[0, 4]).shape == (3, 2)
        with pytest.raises(UserError, match=r"profile 'r', gene 'd' is .* missing"):
            read(path, genes=[1, 3])


def test_bytes_and_numbers_are_ids_too(savez):
    path = savez(genes=np.array([g.encode() for g in GENES]), profiles=np.array([1, 2, 3]))
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == GENES
    assert reader.profiles.index.tolist() == ["1", "2", "3"]


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def header(shape, descr="<f4", body=b""):
    stream = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue() + body


BAD = {
    "pickle": ({"matrix": np.array([[Evil()]], dtype=object)}, "not a sound .npy file"),
    "text": ({"matrix": np.array([["a"]])}, "holds <U1, not real numbers"),
    "complex": ({"matrix": MATRIX.astype(complex)}, "not real numbers"),
    "long double": ({"matrix": MATRIX.astype(np.longdouble)}, "not real numbers"),
    "garbage": ({"matrix": b"garbage"}, "not a sound .npy file"),
    "cut short": ({"matrix": header((3, 5), body=b"1234")}, "not a sound .npy file"),
    "absurd": ({"matrix": header((10**9, 10**9))}, "not a sound .npy file"),
    "overflow": ({"matrix": header((2**62, 2**62, 4))}, "not a sound .npy file"),
    "negative": ({"matrix": header((-3, -5))}, "not a sound .npy file|has shape"),
    "header is code": (
        {"matrix": b"\x93NUMPY\x01\x00\x12\x00__import__('os')\n"}, "not a sound .npy file"
    ),
    "no genes": ({"genes": None}, "m.genes.txt: no such file"),
    "no profiles": ({"profiles": None}, "m.profiles.txt: no such file"),
    "lengths": ({"genes": ["a", "b"]}, r"shape \(3, 5\), but there are ids of 2 genes and 3 prof"),
    "3-D": ({"matrix": MATRIX[None]}, r"shape \(1, 3, 5\), but"),
    "square": ({"matrix": np.eye(3), "genes": PROFILES}, "shape does not show which axis is genes"),
    "duplicates": ({"profiles": ["a", "a", "b"]}, "1 repeated profile id: a"),
    "not UTF-8": ({"genes": b"\xff\na\nb\nc\nd"}, "m.genes.txt: not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_file(save, case):
    changes, words = BAD[case]
    with pytest.raises(UserError, match=words) as error:
        open_reader(save(**changes))
    assert "\n" not in str(error.value)


BAD_NPZ = {
    "pickle": ({"matrix": np.array([[Evil()]], dtype=object)}, "holds Python objects"),
    "pickled ids": ({"genes": np.array([Evil()] * 5, dtype=object)}, "holds Python objects"),
    "no matrix": ({"matrix": None}, "no array 'matrix'"),
    "no genes": ({"genes": None}, "no array 'genes'"),
    "text": ({"matrix": np.array([["a"]])}, "not real numbers"),
    "lengths": ({"genes": np.array(["a", "b"])}, "2 genes and 3 profiles"),
    "square": (
        {"matrix": np.eye(3), "genes": np.array(PROFILES)},
        "does not show which axis is genes",
    ),
    "ids 2-D": ({"genes": np.array([GENES])}, "genes is no list of ids"),
    "ids are fractions": ({"genes": np.arange(5.0)}, "genes is no list of ids"),
    "not UTF-8": ({"genes": np.array([b"\xff", *b"abcd"], "S")}, "genes are not UTF-8"),
}


@pytest.mark.parametrize("case", BAD_NPZ)
def test_bad_npz(savez, case):
    changes, words = BAD_NPZ[case]
    with pytest.raises(UserError, match=rf"m\.npz: .*{words}") as error:
        open_reader(savez(**changes))
    assert "\n" not in str(error.value)


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_a_bomb_is_refused_before_anything_is_allocated(tmp_path):
    size = 256 << 20
    data = header((size,), "|S1", bytes(size))
    path = zipped(tmp_path / "m.npz", genes=data)
    del data
    tracemalloc.start()
    with pytest.raises(UserError, match=r"genes: claims 268,\d+,\d+ bytes of values but holds"):
        open_reader(path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_a_header_that_claims_more_than_its_member_has(tmp_path):
    path = zipped(tmp_path / "m.npz", genes=header((10**12,), "<U9", b"abc"))
    with pytest.raises(UserError, match=r"its size is not what its shape .* claims"):
        open_reader(path)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_cut_short_or_damaged(savez, cut):
    path = savez(matrix=np.random.default_rng(0).random((3, 5)))
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(UserError, match=r"not a sound \.npz file"):
        open_reader(path)


def test_a_flipped_byte_is_found(savez):
    path = savez(matrix=np.random.default_rng(0).random((3, 5)))
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"not a sound \.npz file"):
        read(path)


@pytest.mark.parametrize(("value", "offered"), [(np.nan, True), (np.inf, False)])
def test_a_rule_of_manifests_is_offered_where_it_helps(savez, value, offered):
    path = savez(matrix=np.where(MATRIX == 7, value, MATRIX))
    with pytest.raises(UserError, match="missing, or not finite") as error:
        read(path, (0, 1, 2, 3, 4))
    assert ("missing_values" in str(error.value)) is offered
