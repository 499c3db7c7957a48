"""Explanations: which landmarks a model's predictions rest on, and how far to trust that."""
