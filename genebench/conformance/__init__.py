"""Conformance checks for methods, from the command line (``genebench check``) and from pytest.

In a plugin's tests::

    from genebench.testing import parametrize_with_checks

    @parametrize_with_checks("mymethod")
    def test_conforms(check, method):
        check(method)
"""
