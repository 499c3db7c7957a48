"""A watch over downloads: connections that are too slow, or take too long, are shut down.

``requests`` limits the wait for the next byte only. A server that sends a byte a second would be
waited for without limit, in its headers as well as in its body.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_CHECKS_PER_WINDOW = 5


@dataclass(frozen=True)
class RetryPolicy:
    """Limits after which a server is given up.

    Args:
        connect: seconds to wait for a connection.
        stall: seconds without a byte before the connection counts as dead.
        attempts: number of requests to one mirror before the next one is asked.
        pause: seconds before the second attempt, doubled before each later one.
        slowest: bytes per second that a server must give, on average over a window.
        window: seconds of a window.
        grace: seconds for one file over all attempts, beyond the time that it takes at the
            slowest rate. So large files have more time than small ones.
    """

    connect: float = 10.0
    stall: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    slowest: float = 10_000.0
    window: float = 60.0
    grace: float = 600.0


class Watchdog:
    """A watch over all requests for one file.

    Attributes:
        received: bytes that came. The receiver adds to it.
        expected: bytes of the file, as far as known.
        fault: why a connection was shut down, or an empty text.
    """

    def __init__(self, limits: RetryPolicy, expected: int) -> None:
        self.received = 0
        self.expected = expected
        self.fault = ""
        self._limits = limits
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    @property
    def is_overdue(self) -> bool:
        """True if the file took longer than it may, all attempts together."""
        return time.monotonic() - self._started > self._seconds

    @property
    def overdue(self) -> str:
        """The fault of a file that took too long."""
        return f"took more than {self._seconds:,.0f} seconds in all"

    @property
    def _seconds(self) -> float:
        """Seconds that the file may take. They grow with its size."""
        return self._limits.grace + max(self.expected, self.received) / self._limits.slowest

    @contextmanager
    def session(self) -> Iterator[requests.Session]:
        """Open a session whose connections are watched until the context ends.

        It does not follow redirects.
        """
        self.fault = ""
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,), daemon=True)
        with _Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, _WatchedAdapter(self))
            watch.start()
            try:
                yield session
            finally:
                over.set()
                watch.join()
                self._close()

    def add(self, connected: socket.socket) -> None:
        """Watch a connection."""
        with self._lock:
            # A duplicate, because TLS detaches the socket that it wraps.
            self._sockets.append(connected.dup())

    def _watch(self, over: threading.Event) -> None:
        window, received = time.monotonic(), self.received
        while not over.wait(self._limits.window / _CHECKS_PER_WINDOW):
            now = time.monotonic()
            if self.is_overdue:
                self.fault = self.overdue
            elif now - window >= self._limits.window:
                if self.received - received < self._limits.slowest * (now - window):
                    self.fault = (
                        f"gave fewer than {self._limits.slowest:,.0f} bytes a second "
                        f"for {self._limits.window:g} seconds"
                    )
                window, received = now, self.received
            if self.fault:
                # Again and again: a redirect may open another connection meanwhile.
                self._shut_down()

    def _shut_down(self) -> None:
        """End the connections: whoever waits for a byte of them gets the end of the stream."""
        with self._lock:
            for connected in self._sockets:
                with suppress(OSError):  # closed already
                    connected.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()


class _Session(requests.Session):
    """A session that follows no redirect, because requests reads the body of each one whole."""

    def resolve_redirects(self, *_: Any, **__: Any) -> Generator[Any, None, None]:
        """Yield nothing."""
        yield from ()


class _WatchedAdapter(HTTPAdapter):
    """An adapter that tells a watchdog of each connection as soon as it stands.

    Headers, redirects and the handshake of TLS can be as slow as the body.
    """

    def __init__(self, watchdog: Watchdog) -> None:
        super().__init__()
        self._watchdog = watchdog

    def get_connection_with_tls_context(self, *arguments: Any, **named: Any) -> Any:
        """Return the pool of a request. Its connections are watched."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **named)
        watchdog = self._watchdog

        class Watched(pool.ConnectionCls):  # type: ignore[misc]  # either of urllib3's two
            def _new_conn(self) -> socket.socket:
                connected: socket.socket = super()._new_conn()
                watchdog.add(connected)
                return connected

        pool.ConnectionCls = Watched
        return pool
