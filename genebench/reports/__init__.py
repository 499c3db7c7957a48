"""Reports: what is shown of results."""
