"""Ensembles of other methods."""

from __future__ import annotations

genebench_contract = 1
