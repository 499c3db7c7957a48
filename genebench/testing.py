"""Conformance checks for the tests of plugins. Plugins may rely on this import path.

::

    from genebench.testing import parametrize_with_checks

    @parametrize_with_checks("mymethod")
    def test_conforms(check, method):
        check(method)

``parametrize_with_protocol_checks`` does the same for protocols. This module can be imported
without pytest.
"""

from __future__ import annotations

from genebench.conformance.parametrize import (
    parametrize_with_checks,
    parametrize_with_protocol_checks,
)

__all__ = ["parametrize_with_checks", "parametrize_with_protocol_checks"]
