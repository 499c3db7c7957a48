"""Writers of tiny files."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """write(name, content): a file, gzipped when text goes to a name ending in .gz."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
            content = gzip.compress(content) if name.endswith(".gz") else content
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def write_gctx(tmp_path: Path) -> Callable[..., Path]:
    """write_gctx(datasets): an HDF5 file with these datasets, by their name in it."""

    def write_gctx(datasets: Mapping[str, Any], name: str = "m.gctx", **options: Any) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.attrs["version"] = "GCTX1.0"
            for key, value in datasets.items():
                filters = options if key.endswith("matrix") else {}
                file.create_dataset(key, data=value, **filters)
        return path

    return write_gctx


@pytest.fixture
def gctx_datasets() -> Callable[..., dict[str, Any]]:
    """gctx_datasets(matrix, genes, profiles): what a sound GCTX file has."""

    def gctx_datasets(
        matrix: np.ndarray, genes: Sequence[str] = (), profiles: Sequence[str] = ()
    ) -> dict[str, Any]:
        rows, columns = matrix.shape
        return {
            "0/DATA/0/matrix": matrix,
            "0/META/ROW/id": list(genes) or [f"gene{i}" for i in range(columns)],
            "0/META/COL/id": list(profiles) or [f"profile{i}" for i in range(rows)],
        }

    return gctx_datasets
