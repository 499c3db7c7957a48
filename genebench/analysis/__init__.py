"""Analysis of records: tables, comparisons and ranks, grids, scales, leaks, audits."""
