"""Bundles: what is sent arrives, and nothing else gets in."""

from __future__ import annotations

import hashlib
import json
import stat
import warnings
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genebench.errors import UserError
from genebench.results.bundle import Manifest, opened, write_bundle
from genebench.results.merge import merge
from genebench.results.store import ResultsStore

SENDER = {"name": "A. Person", "contact": "a@example.org", "licence": "CC-BY-4.0"}


@pytest.fixture
def bundle(store, tmp_path):
    out = tmp_path / "bundle.zip"
    write_bundle(out, store, store.records(), SENDER)
    return out


def rewritten(bundle, change, **options):
    """The bundle with another content: ``change`` is given names and contents."""
    with zipfile.ZipFile(bundle) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content = change(content)
    out = bundle.with_name("changed.zip")
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out


def declared(content):
    """The content, with a manifest that is true of it."""
    manifest = json.loads(content["manifest.json"])
    manifest["files"] = {
        (name.filename if isinstance(name, zipfile.ZipInfo) else name): hashlib.sha256(
            data
        ).hexdigest()
        for name, data in content.items()
        if name != "manifest.json"
    }
    return content | {"manifest.json": json.dumps(manifest).encode()}


def refused(path) -> str:
    with pytest.raises(UserError) as caught, opened(path):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_sent_arrives(store, bundle):
    with opened(bundle) as (manifest, received):
        assert (manifest.name, manifest.contact, manifest.licence) == tuple(SENDER.values())
        assert {path.name: path.read_bytes() for path in received.root.iterdir()} == {
            path.name: path.read_bytes() for path in store.root.iterdir()
        }
        assert received.sound(thorough=True)[1] == []
        folder = received.root
    assert not folder.exists()


def test_every_key_of_a_manifest_is_described():
    assert all(field.description for field in Manifest.model_fields.values())


def test_a_merged_bundle_is_annotated_as_submitted(bundle, tmp_path):
    results = ResultsStore(tmp_path / "board")
    merged = merge([bundle], results.root)
    assert len(merged.added) == 3
    for key in merged.added:
        submitted = results.annotations.read(key).submitted
        assert submitted.name == "A. Person"
        assert submitted.bundle == hashlib.sha256(bundle.read_bytes()).hexdigest()


def test_what_was_here_before_a_bundle_is_not_annotated_as_submitted(store, bundle, lsr):
    assert len(merge([bundle], store.root).same) == 3
    assert store.annotations.read(lsr.key).names == []


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json", "/evil.json", "..\\evil.json", "evil.py", "sub/0.json",
        "0123456789abcdef01234567.json/x", "0123456789abcdef01234567.marks.json", ".hidden",
    ],
)  # fmt: skip
def test_a_name_that_no_results_folder_has_is_refused(bundle, name):
    path = rewritten(bundle, lambda content: declared(content | {name: b"{}"}))
    assert "has no place in a bundle" in refused(path)


def test_a_link_is_refused(bundle):
    link = zipfile.ZipInfo("0123456789abcdef01234567.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = rewritten(bundle, lambda content: declared(content | {link: b"/etc/passwd"}))
    assert "has no place in a bundle" in refused(path)


def test_a_name_that_comes_twice_is_refused(bundle):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(bundle, "a") as archive:
            archive.writestr("genebench-results.json", b"{}")
    assert "has no place in a bundle" in refused(bundle)


def test_a_bomb_is_refused_before_it_is_unpacked(bundle, monkeypatch):
    monkeypatch.setattr("genebench.results.bundle._SMALL_BYTES", 1 << 20)
    zeros = {"0123456789abcdef01234567.npz": bytes(200 * bundle.stat().st_size)}
    path = rewritten(
        bundle, lambda content: declared(content | zeros), compression=zipfile.ZIP_DEFLATED
    )
    assert path.stat().st_size < 2 * bundle.stat().st_size
    assert "would unpack to" in refused(path)


def test_a_file_that_is_not_what_the_manifest_says_is_refused(bundle, lsr):
    def change(content):
        name = next(name for name in content if lsr.key in name and name.endswith(".npz"))
        return content | {name: content[name] + b"x"}

    assert "is not the file of the manifest" in refused(rewritten(bundle, change))


@pytest.mark.parametrize("suffix", [".json", ".npz", ".predictions.npy"])
def test_a_file_that_is_missing_is_named(bundle, lsr, suffix):
    def change(content):
        return {name: v for name, v in content.items() if name not in missing}

    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
    missing = [name for name in names if name.startswith(lsr.key) and name.endswith(suffix)]
    assert missing[0] in refused(rewritten(bundle, change))


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"{", "cannot be understood"),
        (b"[]", "cannot be understood"),
        (b"\xff", "cannot be understood"),
        (b'{"format": 2}', "format"),
    ],
)
def test_a_manifest_that_cannot_be_understood_is_one_line(bundle, manifest, said):
    path = rewritten(bundle, lambda content: content | {"manifest.json": manifest})
    assert said in refused(path)


def test_a_zip_of_something_else_is_one_line(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat.jpg", b"x")
    assert "not a bundle of genebench results" in refused(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all"])
def test_a_file_that_is_no_zip_is_one_line(tmp_path, content):
    path = tmp_path / "odd.zip"
    path.write_bytes(content)
    assert "not a bundle that can be read" in refused(path)


def test_a_bundle_that_is_not_there_is_one_line(tmp_path):
    assert "no such file" in refused(tmp_path / "gone.zip").lower()


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_harmless(bundle, data):
    """A flipped byte is found, or is one that says nothing about the content."""
    content = bytearray(bundle.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path = bundle.with_name("damaged.zip")
    path.write_bytes(content)
    try:
        with opened(path) as (_, received):
            assert received.sound(thorough=True)[1] == []
    except UserError:
        pass


def test_a_bundle_is_whole_or_not_at_all(store, tmp_path, lsr):
    out = tmp_path / "bundle.zip"
    (store.paths.vectors(lsr)).unlink()
    with pytest.raises(FileNotFoundError):
        write_bundle(out, store, [lsr], SENDER)
    with pytest.raises(UserError, match="no folder"):
        write_bundle(tmp_path / "gone" / "bundle.zip", store, [], SENDER)
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
