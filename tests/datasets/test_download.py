"""Fetching: whatever the server does, the right file under its name, or one line that helps."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from genebench.datasets.download import CHUNK_BYTES, RESERVE_BYTES, assurance, fetch
from genebench.datasets.sources import COLLECTIONS, SOURCES, Source, find
from genebench.datasets.watchdog import RetryPolicy, Watchdog
from genebench.errors import UserError

CONTENT = b"\x1f\x8b" + np.random.default_rng(0).bytes(5 * CHUNK_BYTES + 121)
CUT = 2 * CHUNK_BYTES
"""Bytes after which the server misbehaves."""
DEFAULT_RETRIES = RetryPolicy(connect=5.0, stall=5.0, attempts=3, pause=0.01)
IMPATIENCE = replace(DEFAULT_RETRIES, stall=0.3, attempts=2)
HURRY = replace(DEFAULT_RETRIES, attempts=1, window=0.5, slowest=1000.0)
"""Of a server that gives a byte now and then, a stall is never noticed."""
FILE = "file.txt.gz"


@dataclass
class Mirror:
    """A local server that answers as told: one answer a request, the last for ever."""

    url: str
    answers: list[Callable[[Handler], None]]
    ranges: list[str | None] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mirror: Mirror

    def do_GET(self) -> None:
        self.mirror.ranges.append(self.headers["Range"])
        self.mirror.sent.append(0)
        answers = self.mirror.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def begin(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    def send(self, body: bytes) -> None:
        self.mirror.sent[-1] += len(body)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def sound(handler: Handler) -> None:
    """Honour ranges."""
    start = int(re.sub(r"\D", "", handler.headers["Range"] or "0"))
    body = CONTENT[start:]
    whole = len(CONTENT)
    if start:
        shown = f"bytes {start}-{whole - 1}/{whole}"
        handler.begin(206, Content_Length=len(body), Content_Range=shown)
    else:
        handler.begin(200, Content_Length=len(body))
    handler.send(body)


def ignoring_ranges(handler: Handler) -> None:
    handler.begin(200, Content_Length=len(CONTENT))
    handler.send(CONTENT)


def truncating(handler: Handler) -> None:
    handler.begin(200, Content_Length=len(CONTENT))
    handler.send(CONTENT[:CUT])


def stalling(handler: Handler) -> None:
    truncating(handler)
    handler.wfile.flush()
    handler.mirror.ended.wait(5)


def without_length(handler: Handler) -> None:
    handler.begin(200)
    handler.send(CONTENT)


def truncating_without_length(handler: Handler) -> None:
    handler.begin(200)
    handler.send(CONTENT[:CUT])


def endless(handler: Handler) -> None:
    handler.begin(200)
    handler.send(CONTENT + b"more")


def wrong_bytes(handler: Handler) -> None:
    handler.begin(200, Content_Length=len(CONTENT))
    handler.send(CONTENT[:-1] + b"x")


def wrong_size(handler: Handler) -> None:
    handler.begin(200, Content_Length=7)
    handler.send(b"a page\n")


def empty(handler: Handler) -> None:
    handler.begin(200, Content_Length=0)


def dripping(handler: Handler) -> None:
    """Give a byte now and then, as long as the other side listens."""
    handler.begin(200, Content_Length=len(CONTENT))
    with suppress(OSError):
        for byte in CONTENT:
            handler.send(bytes([byte]))
            if handler.mirror.ended.wait(0.02):
                return


def dripping_headers(handler: Handler) -> None:
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nX-Filling: " + b"x" * 10_000:
            handler.wfile.write(bytes([byte]))
            if handler.mirror.ended.wait(0.02):
                return


def chunked(body: bytes, *, ended: bool = True) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.begin(200, Transfer_Encoding="chunked")
        for start in range(0, len(body), CHUNK_BYTES):
            piece = body[start : start + CHUNK_BYTES]
            handler.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if ended:
            handler.send(b"0\r\n\r\n")

    return answer


def without_end(handler: Handler) -> None:
    """Send more and more, as long as the other side listens."""
    handler.begin(200, Transfer_Encoding="chunked")
    with suppress(OSError):
        while not handler.mirror.ended.is_set():
            handler.send(f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n")


def with_length(body: bytes, stated: object) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.begin(200, Content_Length=stated)
        with suppress(OSError):
            handler.send(body)

    return answer


def other_range(handler: Handler) -> None:
    handler.begin(206, Content_Length=1, Content_Range=f"bytes 1-1/{len(CONTENT)}")
    handler.send(b"x")


def unsatisfiable(handler: Handler) -> None:
    handler.begin(416, Content_Length=0, Content_Range=f"bytes */{len(CONTENT)}")


def encoded(handler: Handler) -> None:
    """As servers do that take ``.gz`` for an encoding of the file; these bytes are no gzip."""
    handler.begin(200, Content_Length=len(CONTENT), Content_Encoding="gzip")
    handler.send(CONTENT)


def hanging_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def status(code: int) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.begin(code, Content_Length=4)
        handler.send(b"page")

    return answer


def redirect_to(url: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.begin(302, Location=url, Content_Length=0)

    return answer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def serve() -> Iterator[Callable[..., Mirror]]:
    """serve(*answers): a mirror on this machine."""
    servers = []

    def serve(*answers: Callable[[Handler], None]) -> Mirror:
        handler = type("OwnHandler", (Handler,), {})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        handler.mirror = Mirror(f"http://127.0.0.1:{server.server_port}/{FILE}", list(answers))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return handler.mirror

    yield serve
    for server in servers:
        server.RequestHandlerClass.mirror.ended.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def unreachable() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/{FILE}"


def source(*mirrors: Mirror | str, **changes: object) -> Source:
    plain = Source(
        name="sample",
        title="a sample",
        file=FILE,
        urls=tuple(getattr(mirror, "url", mirror) for mirror in mirrors),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
        licence="free",
        ask="its author",
    )
    return replace(plain, **changes)


def get(wanted: Source, folder: Path, *progress, retries: RetryPolicy = DEFAULT_RETRIES) -> Path:
    return fetch(wanted, folder, *progress, retries=retries)


def refused(
    wanted: Source, folder: Path, *fragments: str, retries: RetryPolicy = DEFAULT_RETRIES
) -> None:
    """Fetching is one line with these fragments, and nothing stands under the final name."""
    with pytest.raises(UserError) as error:
        get(wanted, folder, retries=retries)
    for fragment in (*fragments, str(folder / FILE), "genebench data fetch sample"):
        assert fragment in str(error.value)
    assert not (folder / FILE).exists()


def kept(folder: Path) -> list[str]:
    """Return the files that have content. A lock has none."""
    return [path.name for path in folder.iterdir() if path.stat().st_size]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What comes


def test_a_file_is_fetched_verified_and_nothing_else_is_left(serve, tmp_path):
    folder = tmp_path / "new" / "downloads"
    path = get(source(serve(sound)), folder)
    assert path == folder / FILE
    assert path.read_bytes() == CONTENT
    assert names(folder) == [FILE]


def test_progress_is_told_in_bytes(serve, tmp_path):
    told = []
    get(source(serve(sound)), tmp_path, lambda *step: told.append(step))
    assert told[0] == (0, len(CONTENT), FILE)
    assert told[-1] == (len(CONTENT), len(CONTENT), FILE)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


def test_a_file_that_is_there_is_not_fetched_again(serve, tmp_path):
    mirror = serve(sound)
    get(source(mirror), tmp_path)
    get(source(mirror), tmp_path)
    assert len(mirror.ranges) == 1


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize(
    "answer", [ignoring_ranges, without_length, encoded], ids=lambda answer: answer.__name__
)
def test_servers_of_many_kinds_give_the_file(serve, tmp_path, answer, size):
    assert get(source(serve(answer), size=size), tmp_path).read_bytes() == CONTENT


def test_redirects_are_followed(serve, tmp_path):
    mirror = serve(redirect_to(serve(sound).url))
    assert get(source(mirror), tmp_path).read_bytes() == CONTENT


# What breaks off


@pytest.mark.parametrize("fault", [truncating, stalling], ids=lambda fault: fault.__name__)
def test_a_broken_download_continues_where_it_stopped(serve, tmp_path, fault):
    mirror = serve(fault, sound)
    retries = IMPATIENCE if fault is stalling else DEFAULT_RETRIES
    assert get(source(mirror), tmp_path, retries=retries).read_bytes() == CONTENT
    first, second = mirror.ranges
    assert first is None
    have = int(re.fullmatch(r"bytes=(\d+)-", second)[1])
    assert 0 < have <= CUT
    assert mirror.sent[1] == len(CONTENT) - have


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_the_next_call_continues_what_an_earlier_one_left(serve, tmp_path, size):
    broken = serve(truncating, status(404))
    refused(source(broken, size=size), tmp_path, "404")
    assert (tmp_path / f"{FILE}.part").read_bytes() == CONTENT[:CUT]
    mirror = serve(sound)
    assert get(source(mirror, size=size), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [f"bytes={CUT}-"]
    assert mirror.sent == [len(CONTENT) - CUT]
    assert names(tmp_path) == [FILE]


def test_the_next_mirror_continues_what_one_left(serve, tmp_path):
    mirror = serve(sound)
    assert get(source(serve(truncating, status(404)), mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [f"bytes={CUT}-"]


def test_a_server_without_ranges_starts_again(serve, tmp_path):
    mirror = serve(truncating, ignoring_ranges)
    assert get(source(mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [None, f"bytes={CUT}-"]
    assert mirror.sent == [CUT, len(CONTENT)]


@pytest.mark.parametrize("fault", [other_range, unsatisfiable], ids=lambda fault: fault.__name__)
def test_a_range_that_was_not_asked_for_is_not_used(serve, tmp_path, fault):
    mirror = serve(truncating, fault, sound)
    assert get(source(mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [None, f"bytes={CUT}-", None]


def test_a_download_whose_end_only_the_size_tells_is_not_taken_for_whole(serve, tmp_path):
    mirror = serve(truncating_without_length, sound)
    assert get(source(mirror, sha256=None), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [CONTENT[:100][::-1], CONTENT + b"x", CONTENT[::-1]])
def test_a_part_of_another_file_is_given_up(serve, tmp_path, stale):
    (tmp_path / f"{FILE}.part").write_bytes(stale)
    assert get(source(serve(sound)), tmp_path).read_bytes() == CONTENT


def test_a_whole_part_needs_no_server(tmp_path, unreachable):
    (tmp_path / f"{FILE}.part").write_bytes(CONTENT)
    assert get(source(unreachable), tmp_path).read_bytes() == CONTENT


def test_what_cannot_be_verified_is_not_pieced_together_from_two_calls(serve, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(b"of yesterday")
    mirror = serve(sound)
    assert get(source(mirror, sha256=None), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [None]


def test_what_cannot_be_verified_is_not_pieced_together_from_two_mirrors(serve, tmp_path):
    last = serve(sound)
    get(source(serve(truncating, status(404)), last, sha256=None), tmp_path)
    assert last.ranges == [None]


def test_ctrl_c_keeps_what_came_and_the_next_call_continues(serve, tmp_path):
    mirror = serve(sound)

    def interrupt(done: int, total: int, message: str) -> None:
        if done >= CUT:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(source(mirror), tmp_path, interrupt)
    assert (tmp_path / f"{FILE}.part").read_bytes() == CONTENT[:CUT]
    assert not (tmp_path / FILE).exists()
    assert get(source(mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == [None, f"bytes={CUT}-"]


# What servers refuse, and what they give instead


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_busy_server_is_asked_again(serve, tmp_path, code):
    mirror = serve(status(code), status(code), sound)
    assert get(source(mirror), tmp_path).read_bytes() == CONTENT
    assert len(mirror.ranges) == 3


def test_a_server_that_stays_broken_is_asked_a_few_times(serve, tmp_path):
    mirror = serve(status(500))
    refused(source(mirror), tmp_path, "500", "its author", mirror.url)
    assert len(mirror.ranges) == DEFAULT_RETRIES.attempts


def test_a_missing_file_is_not_asked_for_again(serve, tmp_path):
    mirror = serve(status(404))
    refused(source(mirror), tmp_path, "404 Not Found")
    assert len(mirror.ranges) == 1


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (wrong_bytes, "checksum differs"),
        (wrong_size, f"7 bytes, expected {len(CONTENT):,}"),
        (endless, f"more than {len(CONTENT):,} bytes"),
        (empty, "empty"),
        (truncating, f"after {CUT:,}"),
        (stalling, "after"),
        (hanging_up, "cannot be reached"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_mirrors_are_tried_in_order_and_what_went_wrong_is_said(serve, tmp_path, answer, fragment):
    retries = IMPATIENCE if answer is stalling else DEFAULT_RETRIES
    refused(source(serve(answer)), tmp_path, fragment, retries=retries)
    path = get(source(serve(answer), serve(sound)), tmp_path, retries=retries)
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == [FILE]


def test_the_first_mirror_that_answers_is_the_only_one_asked(serve, tmp_path):
    second = serve(sound)
    get(source(serve(sound), second), tmp_path)
    assert second.ranges == []


def test_wrong_bytes_are_never_kept(serve, tmp_path):
    mirror = serve(wrong_bytes)
    refused(source(mirror), tmp_path, "checksum differs")
    assert not any(path.stat().st_size for path in tmp_path.iterdir())
    assert len(mirror.ranges) == 1


def test_redirects_in_a_circle_are_one_line(serve, tmp_path):
    mirror = serve(sound)
    mirror.answers[:] = [redirect_to(mirror.url)]
    refused(source(mirror), tmp_path, "redirects more than")


def test_offline_says_which_file_to_put_where(tmp_path, unreachable):
    wanted = source(unreachable)
    refused(wanted, tmp_path, "cannot be reached", unreachable, "its author", wanted.sha256)


def test_a_file_that_nobody_serves_says_whom_to_ask_and_where_to_put_it(tmp_path):
    refused(source(), tmp_path, "not served in public", "Ask its author.", "bytes")
    assert names(tmp_path) == []


# Sizes, times and rates


BARE = {"sha256": None, "size": None}
"""Nothing is published about the file."""


@pytest.mark.parametrize(
    "answer", [sound, chunked(CONTENT), with_length(CONTENT + b"more", len(CONTENT))]
)
def test_a_file_of_which_nothing_is_published_is_taken_if_it_is_whole(serve, tmp_path, answer):
    assert get(source(serve(answer), **BARE), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (truncating, f"broke off after {CUT:,}"),
        (truncating_without_length, "does not say how long"),
        (chunked(CONTENT[:CUT], ended=False), "broke off after"),
        (empty, "empty"),
        (chunked(b""), "empty"),
        (with_length(b"<!DOCTYPE html><p>Please log in", 31), "not a .gz file"),
        (chunked(b"<html>Please log in"), "not a .gz file"),
        (with_length(CONTENT, 10**15), "it has at most 20,000,000,000"),
        (with_length(CONTENT, "9" * 5000), "does not say how long"),
    ],
)
def test_nothing_else_is_taken_for_it(serve, tmp_path, answer, fragment):
    refused(source(serve(answer), **BARE), tmp_path, fragment)
    assert not kept(tmp_path)


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (with_length(CONTENT[:-1], len(CONTENT) - 1), "327,802 bytes, expected 327,803"),
        (chunked(CONTENT[:-1]), "broke off after 327,802 of 327,803 bytes"),
        (chunked(CONTENT + b"x"), "more than 327,803 bytes"),
    ],
)
def test_a_stated_size_is_kept_to_without_a_checksum(serve, tmp_path, answer, fragment):
    refused(source(serve(answer), sha256=None), tmp_path, fragment)
    assert not kept(tmp_path)


def test_a_body_without_end_is_given_up_at_the_cap(serve, tmp_path):
    cap = 20 * len(CONTENT)
    mirror = serve(without_end)
    refused(source(mirror, **BARE, most_bytes=cap), tmp_path, f"more than {cap:,} bytes")
    assert not kept(tmp_path)
    assert len(mirror.ranges) == 1


def test_a_body_without_end_leaves_the_reserve_of_the_disk(serve, tmp_path, monkeypatch):
    def usage(folder):
        held = sum(path.stat().st_size for path in tmp_path.iterdir())
        return shutil._ntuple_diskusage(0, 0, RESERVE_BYTES + 50 * len(CONTENT) - held)

    monkeypatch.setattr("genebench.datasets.download.shutil.disk_usage", usage)
    with pytest.raises(UserError, match=r"not enough space left for .*set GENEBENCH_HOME"):
        get(source(serve(without_end), **BARE), tmp_path)
    assert not kept(tmp_path)


def test_space_for_the_whole_file_is_looked_for_first(serve, tmp_path, monkeypatch):
    free = RESERVE_BYTES + len(CONTENT) - 1
    usage = shutil._ntuple_diskusage(0, 0, free)
    monkeypatch.setattr("genebench.datasets.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="not enough space left"):
        get(source(serve(sound)), tmp_path)
    assert not kept(tmp_path)


@pytest.mark.parametrize("answer", [dripping, dripping_headers])
def test_a_byte_now_and_then_is_not_waited_for(serve, tmp_path, answer):
    begin = time.monotonic()
    fragment = "fewer than 1,000 bytes a second"
    refused(source(serve(answer)), tmp_path, fragment, retries=HURRY)
    assert time.monotonic() - begin < 60
    path = get(source(serve(answer), serve(sound)), tmp_path, retries=HURRY)
    assert path.read_bytes() == CONTENT


def test_a_file_has_a_time_limit_over_all_attempts_and_mirrors(serve, tmp_path):
    limited = replace(HURRY, attempts=50, grace=0.1, slowest=len(CONTENT) / 0.9)
    mirrors = serve(dripping), serve(dripping)
    begin = time.monotonic()
    refused(source(*mirrors), tmp_path, "took more than 1 seconds in all", retries=limited)
    assert time.monotonic() - begin < 60
    assert len(mirrors[1].ranges) == 0


def test_a_larger_file_has_more_time():
    assert Watchdog(replace(HURRY, grace=-1.0), 0).is_overdue
    assert not Watchdog(replace(HURRY, grace=-1.0), 10_000).is_overdue


def test_the_body_of_a_redirect_is_not_read(serve, tmp_path):
    mirror = serve(sound)

    def endless_redirect(handler: Handler) -> None:
        handler.begin(302, Location=serve(sound).url, Transfer_Encoding="chunked")
        with suppress(OSError):
            while not handler.mirror.ended.is_set() and handler.mirror.sent[-1] < 1 << 28:
                handler.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    mirror.answers[:] = [endless_redirect]
    assert get(source(mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.sent[0] < 1 << 26


# What the user put there


def test_the_users_own_file_is_verified_and_accepted(tmp_path, unreachable):
    (tmp_path / FILE).write_bytes(CONTENT)
    assert get(source(unreachable), tmp_path) == tmp_path / FILE
    assert get(source(), tmp_path) == tmp_path / FILE


@pytest.mark.parametrize(
    ("content", "changes", "fragment"),
    [
        (CONTENT[:-1] + b"x", {}, "another file than published"),
        (CONTENT[:-1] + b"x", {"sha256": None, "md5": "0" * 32}, "another file than published"),
        (CONTENT[:-1], {}, f"expected {len(CONTENT):,}"),
        (b"", {"sha256": None, "size": None}, "0 bytes"),
    ],
    ids=["bytes", "md5", "size", "empty"],
)
def test_the_users_own_wrong_file_is_refused_and_left_alone(tmp_path, content, changes, fragment):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UserError, match=fragment):
        get(source(**changes), tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_folder_in_the_place_of_the_file_is_one_line(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match="not a file"):
        get(source(), tmp_path)


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path, unreachable):
    (tmp_path / "downloads").write_text("mine")
    with pytest.raises(UserError, match="GENEBENCH_HOME"):
        get(source(unreachable), tmp_path / "downloads")


# What nobody published a sha256 of


def test_a_first_sha256_is_recorded_and_a_later_change_noticed(serve, tmp_path):
    wanted = source(serve(sound), sha256=None)
    path = get(wanted, tmp_path)
    record = tmp_path / f"{FILE}.sha256"
    comment, line = record.read_text().splitlines()
    assert line == f"{hashlib.sha256(CONTENT).hexdigest()}  {FILE}"
    assert "No checksum is published" in comment
    assert wanted.urls[0] in comment
    assert "NOT verified" in assurance(wanted, tmp_path)
    assert get(wanted, tmp_path) == path
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(UserError, match="changed since it was first seen"):
        get(wanted, tmp_path)


def test_a_second_download_is_held_against_the_record_of_the_first(serve, tmp_path):
    get(source(serve(sound), **BARE), tmp_path).unlink()
    changed = source(serve(wrong_bytes), **BARE)
    refused(changed, tmp_path, "another file than the first time", f"{FILE}.sha256")
    (tmp_path / f"{FILE}.sha256").unlink()
    get(changed, tmp_path)


def test_sha256sum_reads_the_record(serve, tmp_path):
    get(source(serve(sound), **BARE), tmp_path)
    command = [shutil.which("sha256sum") or pytest.skip("no sha256sum"), "--strict", "-c"]
    command.append(f"{FILE}.sha256")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stderr == b""


def test_a_page_that_the_user_saved_for_the_file_is_refused(tmp_path):
    (tmp_path / FILE).write_text("<!DOCTYPE html>")
    with pytest.raises(UserError, match=r"not a \.gz file"):
        get(source(**BARE), tmp_path)


def test_the_sha256_of_the_users_own_file_is_recorded_too(tmp_path):
    (tmp_path / FILE).write_bytes(CONTENT)
    get(source(sha256=None), tmp_path)
    assert hashlib.sha256(CONTENT).hexdigest() in (tmp_path / f"{FILE}.sha256").read_text()


def test_a_published_md5_is_checked(serve, tmp_path):
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    refused(source(serve(wrong_bytes), sha256=None, md5=md5), tmp_path, "checksum differs", md5)
    wanted = source(serve(sound), sha256=None, md5=md5)
    assert get(wanted, tmp_path).read_bytes() == CONTENT
    assert "md5 as published" in assurance(wanted, tmp_path)
    assert "NOT verified" not in assurance(wanted, tmp_path)


# Several at once


def test_two_that_fetch_the_same_file_at_once_share_one_download(serve, tmp_path):
    mirror = serve(sound)
    together = threading.Barrier(2)

    def one(_: int) -> bytes:
        together.wait()
        return get(source(mirror), tmp_path).read_bytes()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(one, range(2))) == [CONTENT, CONTENT]
    assert mirror.sent == [len(CONTENT)]
    assert names(tmp_path) == [FILE]


# The registry


def test_the_registry_is_sound():
    assert len({one.name for one in SOURCES}) == len({one.file for one in SOURCES}) == len(SOURCES)
    for one in SOURCES:
        assert one.title
        assert one.licence
        assert one.ask
        assert one.file == Path(one.file).name
        assert all(url.startswith("https://") and url.endswith(one.file) for url in one.urls)
        # Without a checksum, only the form of a file tells it from a login page.
        endings = (".zip", ".gz", ".gctx", ".sdrf.txt")
        assert one.checksum is not None or not one.urls or one.file.endswith(endings)
        assert not one.unpacked or one.unpacked == Path(one.unpacked).name != one.file
        assert one.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", one.sha256)
        assert one.md5 is None or re.fullmatch(r"[0-9a-f]{32}", one.md5)


def test_collections_name_known_sources_and_a_shipped_manifest(tmp_path):
    assert not {one.name for one in COLLECTIONS} & {one.name for one in SOURCES}
    for one in COLLECTIONS:
        content = tomllib.loads(one.manifest_text().decode())
        assert content["name"] == one.name
        sources = [find(name) for name in one.sources]
        files = {source.unpacked or source.file for source in sources}
        platforms = content["platforms"].values()
        sections = [content["genes"], *platforms, *(p.get("landmarks", {}) for p in platforms),
                    *(p.get("targets", {}) for p in platforms)]  # fmt: skip
        keys = ("landmarks", "targets", "aliases", "matrix", "profiles")
        named = [section.get(key) for section in sections for key in keys]
        assert {name for name in named if isinstance(name, str)} <= files


def test_sha512_verifies_and_a_replaced_newest_version_is_refused(serve, tmp_path):
    digest = hashlib.sha512(CONTENT).hexdigest()
    pinned = source(serve(sound), sha256=None, sha512=digest, rolling=True)
    path = get(pinned, tmp_path)
    assert path.read_bytes() == CONTENT
    assert assurance(pinned, tmp_path) == "sha512 as published"
    assert not path.with_name(f"{FILE}.sha256").exists()
    replaced = replace(pinned, sha512="0" * 128)
    with pytest.raises(UserError, match=r"another file than published \(sha512 .*newest version"):
        get(replaced, tmp_path)
    path.unlink()
    with pytest.raises(
        UserError, match=r"its checksum differs\. The address always serves the new"
    ):
        get(replaced, tmp_path)
    assert list(tmp_path.glob("*.gz")) == []


@pytest.mark.parametrize("before", [b"", b"\r\n \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_web_page_is_no_table(serve, tmp_path, before):
    content = before + b"<html></html>"

    def page(handler: Handler) -> None:
        handler.begin(200, Content_Length=len(content))
        handler.send(content)

    samples = source(serve(page), sha256=None, size=None, file="m.sdrf.txt")
    with pytest.raises(UserError, match="a web page, not a table"):
        get(samples, tmp_path)
    assert not (tmp_path / "m.sdrf.txt").exists()


def test_sources_are_found_by_name_and_by_file():
    assert find("landmarks") is find("map_lm.txt")
    with pytest.raises(UserError, match="geuvadis"):
        find("geuvadi")


@pytest.mark.parametrize("name", ["landmarks", "targets"])
def test_the_real_gene_maps_are_the_published_ones(realdata, tmp_path, name):
    wanted = find(name)
    (tmp_path / wanted.file).write_bytes((realdata / wanted.file).read_bytes())
    assert fetch(wanted, tmp_path) == tmp_path / wanted.file
