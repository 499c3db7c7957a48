"""Batches of profiles: held or streamed, the same values in the order asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import simulated

from genebench import Profiles
from genebench.methods.training import batches
from genebench.methods.training.batches import Resident, Streamed, sources
from genebench.protocols import GEO

ROWS = torch.tensor([4, 2, 0, 9, 7, 7, 1])


@pytest.mark.parametrize("kind", [Resident, Streamed])
def test_batches_hold_the_profiles_asked_for_in_that_order(kind):
    data = simulated(10)
    source = kind(data, "cpu")
    assert len(source) == 10
    found = list(source.batches(ROWS, 3))
    assert [len(x) for x, _ in found] == [3, 3, 1]
    x, y = (torch.cat(each).numpy() for each in zip(*found, strict=True))
    np.testing.assert_array_equal(x, data.landmarks[ROWS])
    np.testing.assert_array_equal(y, data.targets[ROWS])


def test_a_prepared_dataset_streams_the_values_that_it_holds(tiny):
    train = tiny.profiles(GEO.train)
    rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    pairs = zip(
        Resident(train, "cpu").batches(rows, 50), Streamed(train, "cpu").batches(rows, 50),
        strict=True,
    )  # fmt: skip
    for held, streamed in pairs:
        assert all(torch.equal(one, other) for one, other in zip(held, streamed, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", [Resident, Streamed])
def test_batches_on_cuda_are_those_on_the_cpu(kind):
    data = simulated(10)
    pairs = zip(
        kind(data, "cuda").batches(ROWS, 3), kind(data, "cpu").batches(ROWS, 3), strict=True
    )
    for there, here in pairs:
        for one, other in zip(there, here, strict=True):
            assert one.device.type == "cuda"
            assert torch.equal(one.cpu(), other)


def test_streaming_reads_few_batches_ahead(monkeypatch):
    data = simulated(100)
    read = []
    original = Profiles.target_rows
    monkeypatch.setattr(
        Profiles, "target_rows", lambda self, rows: read.append(len(rows)) or original(self, rows)
    )
    stream = Streamed(data, "cpu").batches(torch.arange(100), 1)
    next(stream)
    stream.close()
    assert 1 <= len(read) <= batches.BATCHES_AHEAD + 1


def test_an_error_while_reading_ahead_reaches_the_reader(monkeypatch):
    data = simulated(10)
    monkeypatch.setattr(Profiles, "target_rows", lambda self, rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(Streamed(data, "cpu").batches(torch.arange(10), 2))


def test_auto_streams_what_would_not_fit_beside_the_networks(monkeypatch):
    data = [simulated(10), simulated(5)]
    # 15 profiles × (5 + 4) genes × 4 bytes = 540 bytes, of which half of the memory may be.
    for memory, kind in ((1080, Resident), (1079, Streamed)):
        monkeypatch.setattr(batches, "_memory", lambda device, found=memory: found)
        assert [type(source) for source in sources(data, "cpu", "auto")] == [kind, kind]
    assert type(sources(data, "cpu", "resident")[0]) is Resident


def test_the_memory_of_this_machine_is_more_than_nothing():
    assert batches._memory("cpu") > 1 << 28
