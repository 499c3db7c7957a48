"""Tests of Landlock, on the kernel that runs them."""

from __future__ import annotations

import os
import socket

import pytest

from genebench.confinement import landlock
from tests.sealing.conftest import needs_landlock


def in_a_child(function):
    """Return what a function returns or raises in a process of its own, as text."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            outcome = str(function())
        except BaseException as error:  # noqa: BLE001
            outcome = type(error).__name__
        os.write(write_end, outcome.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        outcome = stream.read()
    os.waitpid(child, 0)
    return outcome


@pytest.fixture
def folders(tmp_path):
    for name in ("read", "write", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    return tmp_path


@pytest.fixture
def restricted(folders):
    """Return a function that runs another one under rules that name two folders."""

    def run(function):
        def inside():
            landlock.restrict(
                [
                    (folders / "read", landlock.READ),
                    (folders / "write", landlock.everything()),
                    (folders / "absent", landlock.READ),
                ]
            )
            return function()

        return in_a_child(inside)

    return run


@needs_landlock
def test_files_are_reached_as_the_rules_say(folders, restricted):
    assert restricted((folders / "read" / "file").read_text) == "read"
    assert restricted((folders / "write" / "file").read_text) == "write"
    assert restricted(lambda: (folders / "write" / "new").write_text("x")) == "1"
    assert restricted((folders / "other" / "file").read_text) == "PermissionError"
    assert restricted(lambda: (folders / "read" / "file").write_text("x")) == "PermissionError"
    assert restricted(lambda: os.listdir(folders)) == "PermissionError"
    assert restricted(lambda: os.listdir(folders / "read")) == "['file']"


@needs_landlock
def test_a_rule_on_a_file_is_on_that_file_alone(folders):
    (folders / "read" / "second").write_text("second")

    def read(name):
        landlock.restrict([(folders / "read" / "file", landlock.READ)])
        return (folders / "read" / name).read_text()

    assert in_a_child(lambda: read("file")) == "read"
    assert in_a_child(lambda: read("second")) == "PermissionError"


@needs_landlock
def test_children_are_restricted_too(folders, restricted):
    assert restricted(lambda: in_a_child((folders / "other" / "file").read_text)) == (
        "PermissionError"
    )


@pytest.mark.skipif(landlock.abi() < 4, reason="this kernel's Landlock restricts no network")
def test_tcp_is_denied(restricted):
    # Names of hosts are encoded so. The module could not be imported any more.
    "localhost".encode("idna")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = lambda: socket.create_connection(("127.0.0.1", port), 5)  # noqa: E731
        assert restricted(connect) == "PermissionError"
        assert restricted(lambda: socket.create_server(("127.0.0.1", 0))) == "PermissionError"


@pytest.mark.skipif(landlock.abi() < 6, reason="this kernel's Landlock restricts no signals")
def test_signals_do_not_leave_the_domain(restricted):
    assert restricted(lambda: os.kill(os.getppid(), 0)) == "PermissionError"
    assert restricted(lambda: os.kill(os.getpid(), 0)) == "None"


def test_a_kernel_without_it_refuses(monkeypatch):
    monkeypatch.setattr(landlock.sys, "platform", "darwin")
    assert landlock.abi() == 0
    with pytest.raises(OSError, match="no Landlock"):
        landlock.restrict([])


@needs_landlock
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_older_interfaces_are_asked_for_no_more_than_they_know(folders, monkeypatch, version):
    """A kernel refuses rights that it does not know, but accepts those of any older one."""
    if version > landlock.abi():
        pytest.skip("this kernel is older")

    def read():
        monkeypatch.setattr(landlock, "abi", lambda: version)
        assert landlock.restrict([(folders / "read", landlock.READ)]) == version
        return [in_a_child((folders / name / "file").read_text) for name in ("read", "other")]

    assert in_a_child(read) == "['read', 'PermissionError']"
