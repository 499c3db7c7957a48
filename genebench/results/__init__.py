"""Results: records, their per-gene vectors and kept predictions, on disk."""
