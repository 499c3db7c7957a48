"""Reports as a kind: what the registry says of the built-in ones is true, and specs are checked."""

from __future__ import annotations

import pytest

from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.reports.report import Report
from genebench.specs import ReportSpec


@pytest.mark.parametrize("spec", registry().reports.specs.values(), ids=lambda spec: spec.name)
def test_a_spec_names_a_report_that_draws_if_it_says_so(spec):
    cls = load_code(spec.code)
    assert issubclass(cls, Report)
    assert (cls.draw is not Report.draw) == spec.figures


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "My report"}, "report name 'My report' is malformed"),
        ({"code": "module.Report"}, "is not an import string"),
        ({"argument": "--curve"}, "argument '--curve' is malformed"),
    ],
)
def test_a_malformed_spec_is_refused(fields, message):
    sound = {"name": "mine", "title": "Mine", "summary": "s", "code": "mine:Report"}
    ReportSpec(**sound, argument="curve")
    with pytest.raises(ValueError, match=message):
        ReportSpec(**(sound | fields))
