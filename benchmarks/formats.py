"""Peak memory and time of reading each file format once, block by block.

    python benchmarks/formats.py [--profiles 2000 4000] [--genes 12000] [--formats NAME ...]

Claims, for every format and layout:

- the peak is at most three blocks (of 1,024 profiles) above that of a process which has imported
  the reader, but for the 5 kB by which a parquet file describes each profile in a column;
- the peak does not grow with the number of profiles, but for their ids and descriptions.

Values are normal, in float32, so that text has many digits and little can be packed. Each row of
the table is a separate process that reads all genes of all profiles from the page cache. ``blocks``
is the peak in blocks, in the type that the reader yields: float64 for text, else float32. The loop
itself holds one block while it asks for the next.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from genebench.formats.base import Content
from genebench.formats.opening import write_matrix

CHUNK = 500
"""Profiles that are generated at once."""

READ = """
import json, re, sys, time
from pathlib import Path
import numpy as np
from genebench.formats import columnar, delimited, gct, gctx, h5ad, npy
from genebench.formats.base import BLOCK
from genebench.formats.opening import open_reader, registry

def memory(key):
    # Linux only. The peak of getrusage includes that of the process which started this one.
    return 1024 * int(re.search(rf"{key}:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

registry()
before, start = memory("VmHWM"), time.perf_counter()
reader = open_reader(Path(sys.argv[1]), sys.argv[2])
opened, n_profiles = time.perf_counter() - start, 0
for block in reader.blocks(np.arange(len(reader.gene_ids))):
    n_profiles += len(block)
assert n_profiles == len(reader.profiles)
taken, most = time.perf_counter() - start, memory("VmHWM") - before
size = BLOCK * block.shape[1] * block.itemsize
print(json.dumps({"s open": opened, "s all": taken, "peak MB": most / 1e6, "blocks": most / size}))
"""


def blocks(n_profiles: int, n_genes: int) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of normal values, the same each time."""
    random = np.random.default_rng(0)
    for start in range(0, n_profiles, CHUNK):
        shape = min(CHUNK, n_profiles - start), n_genes
        yield random.standard_normal(shape, np.float32) + np.float32(8)


def content(n_profiles: int, n_genes: int) -> Content:
    """Return the content of a generated matrix."""
    return Content(
        genes=pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)]),
        profiles=pd.DataFrame(index=[f"profile{i}" for i in range(n_profiles)]),
        blocks=lambda: blocks(n_profiles, n_genes),
    )


def whole(given: Content) -> NDArray[np.float32]:
    """Return all values of a content."""
    return np.concatenate(list(given.blocks()))


def write(path: Path, given: Content) -> None:
    """Write the format that the name states, as genebench writes it."""
    write_matrix(path, given)


def write_by_gene(path: Path, given: Content) -> None:
    """Write arrays of numpy with genes in rows."""
    values, ids = np.ascontiguousarray(whole(given).T), (given.genes.index, given.profiles.index)
    if path.suffix == ".npz":
        np.savez(path, matrix=values, genes=np.array(ids[0], "U"), profiles=np.array(ids[1], "U"))
        return
    np.save(path, values)
    for axis, names in zip(("genes", "profiles"), ids, strict=True):
        path.with_suffix(f".{axis}.txt").write_text("\n".join(names), "utf-8")


def write_chunks_of_genes(path: Path, given: Content) -> None:
    """Write GCTX whose chunks are all profiles of 16 genes."""
    write_matrix(path.with_suffix(".plain.gctx"), given)
    path.with_suffix(".plain.gctx").rename(path)
    with h5py.File(path, "r+") as file:
        values = file["0/DATA/0/matrix"][:]
        del file["0/DATA/0/matrix"]
        chunks = len(values), 16
        file.create_dataset("0/DATA/0/matrix", data=values, chunks=chunks, compression="gzip")


def write_sparse(kind: type) -> Callable[[Path, Content], None]:
    """Return a writer of AnnData with a sparse X, of which no value is 0."""

    def write_x(path: Path, given: Content) -> None:
        packed = kind(whole(given))
        with h5py.File(path, "w") as file:
            for axis, table in (("obs", given.profiles), ("var", given.genes)):
                file[f"{axis}/_index"] = table.index.tolist()
            group = file.create_group("X")
            group.attrs.update({"encoding-type": f"{packed.format}_matrix", "shape": packed.shape})
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(packed, name)

    return write_x


def write_by_pandas(*, turned: bool = False, **options: int) -> Callable[[Path, Content], None]:
    """Return a writer of parquet or feather as pandas writes it: in one batch, unless told."""

    def write_table(path: Path, given: Content) -> None:
        table = pd.DataFrame(whole(given), index=given.profiles.index, columns=given.genes.index)
        table = table if turned else table.T
        if path.suffix == ".parquet":
            table.to_parquet(path, **options)
        else:
            table.to_feather(path, **options)

    return write_table


def write_turned(path: Path, given: Content) -> None:
    """Write text with a profile in each row."""
    profiles = iter(given.profiles.index)
    with path.open("w", encoding="utf-8") as stream:
        stream.write("\t".join(["id", *given.genes.index]) + "\n")
        for block in given.blocks():
            for row in block.tolist():
                stream.write("\t".join([next(profiles), *map(repr, row)]) + "\n")


LAYOUTS: dict[str, tuple[str, str, Callable[[Path, Content], None]]] = {
    "GCTX": ("m.gctx", "genes", write),
    "GCTX, chunks of all profiles": ("m.gctx", "genes", write_chunks_of_genes),
    "GCT": ("m.gct", "genes", write),
    "TSV": ("m.tsv", "genes", write),
    "CSV, gzip": ("m.csv.gz", "genes", write),
    "TSV, profiles in rows": ("m.tsv", "profiles", write_turned),
    "npy": ("m.npy", "genes", write),
    "npy, genes in rows": ("m.npy", "genes", write_by_gene),
    "npz": ("m.npz", "genes", write),
    "npz, genes in rows": ("m.npz", "genes", write_by_gene),
    "h5ad": ("m.h5ad", "genes", write),
    "h5ad, CSR": ("m.h5ad", "genes", write_sparse(sparse.csr_matrix)),
    "h5ad, CSC": ("m.h5ad", "genes", write_sparse(sparse.csc_matrix)),
    "parquet": ("m.parquet", "genes", write),
    "parquet, one row group": ("m.parquet", "genes", write_by_pandas()),
    "parquet, profiles in rows": ("m.parquet", "profiles", write_by_pandas(turned=True)),
    "feather": ("m.feather", "genes", write),
    "feather, one batch": ("m.feather", "genes", write_by_pandas()),
    "feather, profiles in rows": ("m.feather", "profiles", write_by_pandas(turned=True)),
}
"""Name → the file's name, the orientation to read it in, and the function that writes it."""


def measure(name: str, n_profiles: int, n_genes: int) -> dict[str, object]:
    """Write a layout and return the figures of a process that reads it."""
    file, orientation, writer = LAYOUTS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        writer(path, content(n_profiles, n_genes))
        command = [sys.executable, "-c", READ, str(path), orientation]
        result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return {
            "format": name,
            "profiles": n_profiles,
            "file MB": path.stat().st_size / 1e6,
        } | result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the readers of all formats.")
    parser.add_argument("--profiles", type=int, nargs="+", default=[2000, 4000])
    parser.add_argument("--genes", type=int, default=12_000)
    parser.add_argument("--formats", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    arguments = parser.parse_args()
    rows = []
    for layout in arguments.formats:
        for number in arguments.profiles:
            rows.append(measure(layout, number, arguments.genes))
            print(rows[-1], flush=True, file=sys.stderr)
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.1f}".format))
