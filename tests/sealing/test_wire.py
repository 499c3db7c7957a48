"""Tests of messages between a job's process and the process that scores it."""

from __future__ import annotations

import json
import socket
import struct
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genebench.sealing.wire import BrokenMessageError, Channel

NUMBERS = st.sampled_from(["<f4", "<f8", "<i8", "<i4", "|u1", "|b1"])
ARRAYS = NUMBERS.flatmap(
    lambda dtype: arrays(dtype, st.tuples(st.integers(0, 5), st.integers(0, 5)))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture
def ends():
    first, second = socket.socketpair()
    yield Channel(first), second
    first.close()
    second.close()


def received(data, **limits):
    """Return what a channel makes of some bytes, after which the other side is gone."""
    ours, theirs = socket.socketpair()
    with ours:
        channel = Channel(ours)

        def write():
            with theirs:
                theirs.sendall(data)

        writer = Thread(target=write)
        writer.start()
        try:
            return channel.receive(**limits)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            writer.join()


def message(header, arrays=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(header)) + header + arrays


@settings(max_examples=25)
@given(st.dictionaries(st.text(), JSON), st.dictionaries(st.text(), ARRAYS, max_size=3))
def test_what_is_sent_arrives(content, sent):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(ours).send(content, sent)
        arrived, copies = Channel(theirs).receive()
    assert arrived == content
    assert list(copies) == list(sent)
    for name, copy in copies.items():
        assert copy.dtype == sent[name].dtype
        np.testing.assert_array_equal(copy, sent[name])


@settings(max_examples=25)
@given(st.binary())
def test_no_bytes_do_harm(data):
    with pytest.raises((EOFError, BrokenMessageError)):
        received(message(data) if len(data) % 2 else data)


@settings(max_examples=25)
@given(JSON, JSON)
def test_no_header_does_harm(content, described):
    try:
        arrived, copies = received(message({"content": content, "arrays": described}), limit=1000)
    except (EOFError, BrokenMessageError):
        return
    assert (arrived, copies) == (content, {})


@pytest.mark.parametrize(
    "described",
    [
        [["a", "|O", [1]]], [["a", "<f4", [-1]]], [["a", "<f4", [1.5]]], [["a", "<f4", [True]]],
        [["a", "<f4", [1] * 9]], [["a", "<f4", [0, 10**20]]], [["a", "<f4", [2**31, 2**31, 0]]],
        [["a", "<U9", [1]]], [["a", "<f4"]], [["a", ["<f4"], [1]]], {"a": 1}, 7,
    ],
)  # fmt: skip
def test_arrays_of_another_kind_are_refused(described):
    with pytest.raises(BrokenMessageError, match="a header that is no message"):
        received(message({"content": {}, "arrays": described}))


def test_arrays_beyond_the_limit_are_refused_before_memory_is_allocated():
    header = {"content": {}, "arrays": [["a", "<f4", [250]], ["b", "|u1", [1]]]}
    with pytest.raises(BrokenMessageError, match="arrays of 1,001 bytes, where 1,000 are allowed"):
        received(message(header, bytes(1001)), limit=1000)
    assert received(message(header, bytes(1001)), limit=1001)[1]["a"].sum() == 0


def test_headers_beyond_the_limit_are_refused():
    with pytest.raises(BrokenMessageError, match="a header of 30 bytes"):
        received(message(b" " * 30), header_limit=29)


def test_objects_are_not_sent(ends):
    channel, _ = ends
    with pytest.raises(ValueError, match="a holds object, not numbers"):
        channel.send({}, {"a": np.array([object()])})
    with pytest.raises(TypeError):
        channel.send({"a": object()})
