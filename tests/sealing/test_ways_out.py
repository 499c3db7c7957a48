"""Tests that a method finds no way out of its sealed process."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from genebench.plugins.discovery import load_code
from genebench.sealing.client import sealed
from tests.sealing.conftest import needs_landlock

KEY = 0x67656E65
"""Key of System V shared memory and of a message queue."""
STAYS_OPEN = {"limits_others", "slows_others_down"}
"""Ways that harm no score, and that docs/explanation/sealing.md names."""
SHARED_MEMORY = Path("/dev/shm")

pytestmark = [
    needs_landlock,
    pytest.mark.skipif(sys.platform != "linux", reason="the ways out are those of Linux"),
]


@pytest.fixture
def laid_out(job_of, tiny, tmp_path, monkeypatch):
    """Lay out what a method must not reach: files, processes, sockets, shared memory, a key."""
    job = job_of("prober")
    results = job.scratch.parent
    rival = results / "rival.json"
    rival.write_text("a rival's score")
    monkeypatch.setenv("GENEBENCH_SECRET", "a secret of the user")
    name = f"genebench-{os.getpid()}"
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as stack:
        shared = SHARED_MEMORY / name
        shared.write_text("shared")
        stack.callback(shared.unlink)
        segment, queue = libc.shmget(KEY, 100, 0o1666), libc.msgget(KEY, 0o1666)
        stack.callback(libc.shmctl, segment, 0, None)
        stack.callback(libc.msgctl, queue, 0, None)
        libc.syscall(248, b"user", name.encode(), b"payload", 7, -3)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        sockets = {}
        for kind, address in (("abstract", f"\0{name}"), ("socket", str(tmp_path / "s"))):
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(address)
            server.listen()
            sockets[kind] = address.strip("\0")
        value = ctypes.create_string_buffer(b"a secret")
        yield {
            "rival": str(rival), "results": str(results), "scratch": str(job.scratch),
            "home": os.environ["GENEBENCH_HOME"], "secret": "a secret of the user",
            "truth": str(tiny.root / "geo" / "expression.npy"),
            "train": str(job.parts["train"].own_file()),
            "parts": [str(part.own_file()) for part in job.parts.values()],
            "processes": [os.getpid()], "address": ctypes.addressof(value),
            "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1],
            "key": KEY, "shared": name, **sockets,
        }  # fmt: skip
        assert rival.read_text() == "a rival's score"


def test_every_way_out_is_closed(laid_out, job_of, fit):
    job = job_of("prober", target=json.dumps(laid_out))
    with sealed(job) as method:
        assert method.process.seal.level == "landlock"
        isolated = method.process.seal.isolated
        model = fit(method, job)["geo"]
        model.read_facts()
    if isolated != ("network", "ipc", "files", "shm"):
        pytest.skip(f"namespaces are forbidden here, which leaves ways open: {isolated}")
    opened = {name: what for name, what in model.choices.items() if what.startswith("open")}
    assert set(opened) <= STAYS_OPEN, opened
    assert len(model.choices) > 50


def test_the_ways_out_are_ways_out(laid_out, plugins):
    """Outside a sealed process, nearly all of them are open: the probes can fail."""
    # A local file is no module that Python finds by itself.
    load_code("probes:attempt")
    probes = import_module("probes")
    harmless = {
        "reads_a_rival", "reads_the_truth", "opens_by_system_call", "opens_by_openat2",
        "opens_through_proc_root", "opens_in_a_child", "follows_a_link_of_its_own",
        "makes_a_hard_link", "knows_size_and_time", "opens_a_path_descriptor", "watches_a_rival",
        "takes_permissions_of_its_own_data_away", "changes_times_of_its_own_data",
        "reads_memory_of_others", "reads_the_environment_of_others",
        "reads_the_command_of_others", "lists_descriptors_of_others", "lists_processes",
        "copies_memory_of_others", "takes_descriptors_of_others", "signals_others",
        "signals_by_descriptor", "finds_places_in_variables", "connects_by_tcp", "sends_by_udp",
        "connects_to_an_abstract_socket", "connects_to_a_socket_in_a_folder",
        "finds_system_v_memory", "finds_a_message_queue", "finds_posix_memory", "finds_a_key",
        "limits_others",
    }  # fmt: skip
    closed = {
        name: what
        for name in harmless
        if (what := probes.attempt(probes.PROBES[name], laid_out)).startswith("closed")
    }
    assert closed == {}
