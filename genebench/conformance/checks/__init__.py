"""The checks, a module for each group; their docstrings are what they say."""
