"""The built-in protocols: parts and data that keys and records hold, which must never change."""

from __future__ import annotations

from genebench.plugins.registry import registry

PARTS = {
    "geo": ("geo/train", "geo/validation", "geo/test"),
    "gtex": ("geo/train", "1000g", "gtex"),
    "geo-strict": (
        "geo/train/training-statistics",
        "geo/validation/training-statistics",
        "geo/test/training-statistics",
    ),
    "gtex-strict": (
        "geo/train/training-statistics",
        "1000g/training-statistics",
        "gtex/training-statistics",
    ),
    "geo-series": ("geo/train/by-group", "geo/validation/by-group", "geo/test/by-group"),
    "geo-5fold": ("geo/train/by-group", "geo/validation/by-group", "geo/test/by-group"),
    "gtex-loto": (
        "gtex/train/by-group/column-tissue/training-statistics",
        "gtex/validation/by-group/column-tissue/training-statistics",
        "gtex/test/by-group/column-tissue/training-statistics",
    ),
    "geo-series-strict": (
        "geo/train/by-group/training-statistics",
        "geo/validation/by-group/training-statistics",
        "geo/test/by-group/training-statistics",
    ),
}


def built_in():
    protocols = registry().protocols
    return [spec for name, spec in protocols.specs.items() if name in PARTS]


def test_parts_and_versions_of_protocols_are_those_of_earlier_keys():
    assert {spec.name: tuple(map(str, spec.parts)) for spec in built_in()} == PARTS
    assert {spec.version for spec in built_in()} == {1}


def test_each_variant_changes_a_protocol_before_it():
    names = [spec.name for spec in built_in()]
    for spec in built_in():
        if spec.variant_of:
            assert names.index(spec.variant_of) < names.index(spec.name)


def test_the_tiny_simulation_has_the_digest_of_earlier_versions(tiny):
    # The last bits of numpy's functions are others on processors without AVX-512.
    assert tiny.digest in {"048ca54a6f159328", "6dacdb440ffa5201"}
