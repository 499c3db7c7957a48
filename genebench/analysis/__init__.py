"""Analysis: what records mean."""
