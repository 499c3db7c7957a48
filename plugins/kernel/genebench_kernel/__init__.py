"""Kernel ridge regression."""

from __future__ import annotations

genebench_contract = 1
