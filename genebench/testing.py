"""Conformance checks in a plugin's own tests: what plugin authors may import, promised to stay.

::

    from genebench.testing import parametrize_with_checks

    @parametrize_with_checks("mymethod")
    def test_conforms(check, method):
        check(method)

This module can be imported without pytest.
"""

from __future__ import annotations

from genebench.conformance import parametrize_with_checks

__all__ = ["parametrize_with_checks"]
