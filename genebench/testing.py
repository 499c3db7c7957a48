"""Conformance checks for the tests of plugins. Plugins may rely on this import path.

::

    from genebench.testing import parametrize_with_checks

    @parametrize_with_checks("mymethod")
    def test_conforms(check, method):
        check(method)

This module can be imported without pytest.
"""

from __future__ import annotations

from genebench.conformance.parametrize import parametrize_with_checks

__all__ = ["parametrize_with_checks"]
