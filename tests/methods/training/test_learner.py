"""Generators: one stream for each use and seed."""

from __future__ import annotations

import torch

from genebench.methods.training.learner import generator


def drawn(seed, use):
    return torch.rand(3, generator=generator(seed, use)).tolist()


def test_each_use_and_seed_has_a_stream_of_its_own():
    assert drawn(0, "order 1") == drawn(0, "order 1")
    streams = [drawn(seed, use) for seed in (0, 1, 11) for use in ("order 1", "order 11", "mask")]
    assert len({tuple(stream) for stream in streams}) == len(streams)


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = drawn(0, "order 1")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert drawn(0, "order 1") == first
