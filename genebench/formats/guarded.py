"""Readers of plugins, guarded: nothing that they return or raise is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError
from genebench.formats.base import BLOCK, Reader
from genebench.formats.files import id_index
from genebench.formats.flat import FLAT_TYPES, Flat
from genebench.plugins.faults import blamed, plugin_fault
from genebench.plugins.plugin import Plugin

_END = object()


class GuardedReader(Reader):
    """A reader of a plugin. Its faults become one line that names the plugin and the file.

    Args:
        reader: object that the plugin returned.
        plugin: the plugin.
        source: name of the file.

    Raises:
        UserError: the object is no reader, or it has no ids.
    """

    def __init__(self, reader: Any, plugin: Plugin, source: str) -> None:
        self.source = source
        self._reader, self._plugin = reader, plugin
        self._subject = f"{source}: the reader"
        if not isinstance(reader, Reader):
            raise self._mistake(
                f"is a {type(reader).__name__}, not a genebench.formats.base.Reader"
            )
        with blamed(plugin, self._subject):
            self.source = str(reader.source)
            self.gene_ids = id_index(self.source, "gene", map(str, reader.gene_ids))
            table: Any = reader.profiles
            if not isinstance(table, pd.DataFrame) or not table.columns.is_unique:
                raise self._mistake("has no profiles: a table with columns of different names")
            ids = id_index(self.source, "profile", map(str, table.index))
            self.profiles = table.set_axis(ids)
            self.transpose_remedy = str(reader.transpose_remedy)
            self.notes = tuple(map(str, reader.notes))

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield the blocks of the plugin, each checked: shape, type, finite values."""
        start = 0
        blocks: Any = None
        while True:
            with blamed(self._plugin, self._subject):
                blocks = iter(self._reader.blocks(genes, size)) if blocks is None else blocks
                block: Any = next(blocks, _END)
                if block is _END:
                    return
                self._check(block, len(genes), start)
                if not self.is_sound(block):
                    self.check_finite(block, start, genes)
            yield block
            start += len(block)

    def check(self) -> None:
        """Refuse profile ids that repeat, and what the plugin itself refuses."""
        with blamed(self._plugin, self._subject):
            self._reader.check()
        super().check()

    def flat(self) -> Flat | None:
        """Return the place of the values, if the plugin's class itself declares one."""
        if "flat" not in vars(type(self._reader)):
            return None
        with blamed(self._plugin, self._subject):
            flat = self._reader.flat()
            if flat is None:
                return None
            shape = len(self.profiles), len(self.gene_ids)
            if not isinstance(flat, Flat) or flat.shape != shape or flat.dtype not in FLAT_TYPES:
                raise self._mistake(f"has a flat matrix that is no {shape} of float32 or float64")
            return flat

    def keep_missing(self) -> None:
        """Yield missing values as NaN from now on. The plugin's reader does so, too."""
        super().keep_missing()
        with blamed(self._plugin, self._subject):
            self._reader.keep_missing()

    def is_sound(self, values: NDArray[np.floating]) -> bool:
        """Return the plugin's own verdict: it may know codes for "missing"."""
        with blamed(self._plugin, self._subject):
            return bool(self._reader.is_sound(values))

    def check_finite(
        self, block: NDArray[np.floating], start: int, genes: NDArray[np.intp]
    ) -> None:
        """Let the plugin refuse values, and then refuse those that are not finite."""
        with blamed(self._plugin, self._subject):
            self._reader.check_finite(block, start, genes)
        super().check_finite(block, start, genes)

    def transposed(self) -> Reader:
        """Return the plugin's reader of profiles × genes, guarded too."""
        with blamed(self._plugin, self._subject):
            return GuardedReader(self._reader.transposed(), self._plugin, self.source)

    def with_ids(self, kind: str) -> Reader:
        """Return the plugin's reader with ids of a kind, guarded too."""
        with blamed(self._plugin, self._subject):
            return GuardedReader(self._reader.with_ids(kind), self._plugin, self.source)

    def _check(self, block: Any, n_genes: int, start: int) -> None:
        """Refuse a block that is no array of numbers, or that has too many profiles."""
        if not isinstance(block, np.ndarray) or block.dtype.kind not in "fiu":
            kind = block.dtype if isinstance(block, np.ndarray) else type(block).__name__
            raise self._mistake(f"gave a block of {kind}, not an array of real numbers")
        left = len(self.profiles) - start
        if block.ndim != 2 or block.shape[1] != n_genes or not 0 < len(block) <= left:  # noqa: PLR2004  rows and columns
            raise self._mistake(
                f"gave a block of shape {block.shape} for {n_genes} genes and at most {left} "
                "profiles that are left"
            )

    def _broken(self, result: str) -> UserError:
        return self._mistake(f"returned {result}")

    def _mistake(self, problem: str) -> UserError:
        return plugin_fault(self._plugin, self._subject, problem)
