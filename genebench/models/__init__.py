"""Saved models and their predictions."""
