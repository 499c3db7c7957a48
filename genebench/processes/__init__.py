"""Subprocesses that are supervised: measured, and ended with all that they start."""
