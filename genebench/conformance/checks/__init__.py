"""The checks, one module for each group. The docstring of a check is the rule that users see."""
