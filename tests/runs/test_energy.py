"""Energy is that of the assigned GPU, by its own counter, or there is none."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from genebench.runs.energy import COUNTER_METHOD, energy_counter
from genebench.runs.provenance import Stopwatch


class FakeNVML:
    """A driver with some GPUs, whose counters rise by 1,500 mJ (times their number) a reading."""

    class NVMLError(Exception):
        pass

    def __init__(self, uuids=("GPU-aaaa-1", "GPU-bbbb-2"), *, counts=True):
        self.uuids, self.counts = uuids, counts
        self.readings = dict.fromkeys(range(len(uuids)), 0)
        self.divided = set()
        self.pids = {}

    def nvmlInit(self):  # noqa: N802
        if not self.uuids:
            raise self.NVMLError

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return self.uuids[handle]

    def nvmlDeviceGetMigMode(self, handle):  # noqa: N802
        if handle == 0 and not self.divided:
            raise self.NVMLError
        return (handle in self.divided, False)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        return [SimpleNamespace(pid=pid) for pid in self.pids.get(handle, ())]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        if not self.counts:
            raise self.NVMLError
        self.readings[handle] += 1500 * (handle + 1)
        return self.readings[handle]


@pytest.fixture
def nvml(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)

    def use(fake):
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return use


def energy(phases=("fit",)):
    clock = Stopwatch(energy=energy_counter("cuda"))
    for phase in phases:
        with clock.phase(phase):
            pass
    return clock.energy()


def test_the_difference_of_the_counter_is_recorded_for_each_phase(nvml):
    nvml(FakeNVML(("GPU-a",)))
    measured = energy(("fit", "predict", "predict"))
    assert measured.joules == {"fit": 1.5, "predict": 3.0}
    assert measured.method == COUNTER_METHOD


@pytest.mark.parametrize(
    ("visible", "order", "joules"),
    [
        ("GPU-bbbb-2", "", 3.0), ("GPU-bb,GPU-aa", "", 3.0), ("1", "PCI_BUS_ID", 3.0),
        ("0", "PCI_BUS_ID", 1.5), (None, "PCI_BUS_ID", 1.5),
    ],
)  # fmt: skip
def test_the_assigned_gpu_is_measured_and_no_other(nvml, monkeypatch, visible, order, joules):
    fake = nvml(FakeNVML())
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", order)
    assert energy().joules == {"fit": joules}
    assert sorted(map(bool, fake.readings.values())) == [False, True]


@pytest.mark.parametrize(
    "visible", ["", "-1", "MIG-1234", "GPU-", "GPU-cccc", "7", "0", "one", None]
)
def test_where_the_gpu_is_not_certain_there_is_no_energy(nvml, monkeypatch, visible):
    nvml(FakeNVML())
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert energy() is None


def test_a_divided_gpu_has_no_energy(nvml):
    nvml(FakeNVML(("GPU-a",))).divided = {0}
    assert energy() is None


def test_a_gpu_without_a_counter_or_a_machine_without_a_driver_has_none(nvml):
    nvml(FakeNVML(counts=False))
    assert energy() is None
    nvml(FakeNVML(()))
    assert energy() is None
    nvml(None)  # as if the package were not installed
    assert energy() is None


def test_another_process_on_the_gpu_makes_the_sum_unknown(nvml):
    fake = nvml(FakeNVML(("GPU-a",)))
    fake.pids = {0: [os.getpid(), os.getppid()]}
    assert energy().joules == {"fit": 1.5}
    clock = Stopwatch(energy=energy_counter("cuda"))
    with clock.phase("fit"):
        # No process has a number above the largest one of Linux.
        fake.pids = {0: [2**22 + 1]}
    fake.pids = {}
    with clock.phase("predict"):
        pass
    assert clock.energy() is None


def test_a_stopwatch_that_goes_on_leaves_the_first_as_it_is(nvml):
    nvml(FakeNVML(("GPU-a",)))
    clock = Stopwatch(energy=energy_counter("cuda"))
    with clock.phase("fit"):
        pass
    further = clock.continued()
    with further.phase("predict"):
        pass
    assert set(clock.energy().joules) == {"fit"}
    assert set(further.energy().joules) == {"fit", "predict"}


def test_the_cpu_has_no_energy(nvml):
    nvml(FakeNVML())
    assert energy_counter("cpu") is None
