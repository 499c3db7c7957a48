"""Sample-wise lasso."""

from __future__ import annotations

genebench_contract = 1
