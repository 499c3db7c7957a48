"""Relevance of landmarks for predictions, and how far it can be trusted."""
