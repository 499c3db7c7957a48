"""Changes to the shared state of a process are recorded and undone."""

from __future__ import annotations

import numpy as np
import pytest

from genebench.conformance.surroundings import Traces, settings_kept, traced

torch = pytest.importorskip("torch")


def test_the_generators_of_cuda_count_once_it_is_in_use(monkeypatch):
    states = [torch.zeros(4)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "get_rng_state_all", lambda: [state.clone() for state in states]
    )
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda to: states.__setitem__(0, to[0]))
    traces = Traces()
    with traced(traces, seed=0):
        states[0] += 1
    assert traces.generators == ["torch.cuda"]
    assert not states[0].any()


def spoil_and_fail():
    np.seterr(all="ignore")
    torch.set_default_device("meta")
    torch.backends.cudnn.deterministic = True
    raise ZeroDivisionError


def test_settings_are_put_right_after_an_error():
    before = np.geterr(), torch.get_default_device(), torch.backends.cudnn.deterministic
    with pytest.raises(ZeroDivisionError), settings_kept():
        spoil_and_fail()
    after = np.geterr(), torch.get_default_device(), torch.backends.cudnn.deterministic
    assert after == before
    assert torch.zeros(1).device.type == "cpu"
