"""Gunicorn's threaded worker, in which no thread ever waits for a client.

A thread of gunicorn's own reads its request from the socket, for as long as the client likes: as
many clients as there are threads, each with a byte now and then, stop the site. Here the loop that
accepts connections also receives, each request within a deadline for all of it, and a thread gets
only what is there as a whole. What a client does not take of an answer, the loop sends too.

It speaks HTTP/1 without TLS, which a proxy ends.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn import http
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.workers.gthread import TConn, ThreadWorker

SECONDS = 20.0
"""A request has come as a whole within this time, head and body together, or is cut off."""
LARGEST_BODY = 4 * 2**20
"""No door takes as much as this, and those that refuse a body have it read first."""
LARGEST_HEAD = 64 * 2**10
MOST_HELD = 64 * 2**20
"""Bytes of requests and answers that a process keeps, of all its clients together."""
MOST_WAITED_FOR = 500
"""Connections that a process waits for. The one that it waits for longest makes way for another:
requests of honest clients come within moments, so those who dawdle push out one another."""
MOST_KEPT_ALIVE = 250
"""Connections that may stay open between two requests: never all, or others would not get in."""
LARGEST_KEPT_ANSWER = 4 * 2**20
"""What is sent beyond this, a thread waits for: only exports to operators are so large."""
_LINGER_SECONDS = 2.0
_LOOK_SECONDS = 0.5
_PIECE = 2**16
_HAS_BODY = re.compile(rb"\n(?:content-length|transfer-encoding|expect)[ \t]*:", re.IGNORECASE)


class Arrival:
    """A request on its way in: what has come of it, and whether that is all."""

    def __init__(self, read_head: Callable[[bytes], Any]) -> None:
        """
        Args:
            read_head: gives gunicorn's request for a head. How long a body is, nobody else says.
        """
        self.data = bytearray()
        self.expects_continue = False
        self._read_head = read_head
        self._head = 0  # where the body begins; 0: the head is not there yet
        self._searched = 0
        self._length: int | None = None
        self._chunks: Chunks | None = None

    def add(self, data: bytes) -> bool:
        """Take what has come. True: the request is there as a whole, or is none.

        Raises:
            TooLarge: it is larger than what is received.
        """
        self.data += data
        if not self._head and not self._find_head():
            return False
        if self._chunks is not None:
            whole = self._chunks.end(self.data)
        else:
            whole = self._length is None or len(self.data) - self._head >= self._length
        if not whole and max(self._length or 0, len(self.data) - self._head) > LARGEST_BODY:
            raise TooLarge(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return whole

    def _find_head(self) -> bool:
        end = self.data.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self.data)
        if end < 0 and len(self.data) <= LARGEST_HEAD:
            return False
        if end < 0 or end > LARGEST_HEAD:
            raise TooLarge(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._head = end + 4
        if _HAS_BODY.search(self.data, 0, self._head):
            self._see_body(bytes(self.data[: self._head]))
        return True

    def _see_body(self, head: bytes) -> None:
        try:
            request = self._read_head(head)
        except Exception:  # gunicorn answers it, when a thread meets the same
            return
        reader = request.body.reader
        if isinstance(reader, LengthReader):
            self._length = reader.length
        elif isinstance(reader, ChunkedReader):
            self._chunks = Chunks(self._head)
        self.expects_continue = request._expected_100_continue


class Chunks:
    """Where a body in chunks ends (RFC 9112, section 7.1), each byte looked at about once."""

    def __init__(self, start: int) -> None:
        self._line = start  # where the line with the next chunk's size begins
        self._searched = start
        self._last = False  # that was the last chunk's; trailers follow

    def end(self, data: bytearray) -> bool:
        """Whether the end is there, or it is clear that gunicorn will refuse the body."""
        while not self._last:
            found = data.find(b"\r\n", max(self._line, self._searched - 1))
            self._searched = len(data)
            if found < 0:
                return len(data) - self._line > LARGEST_HEAD
            size = bytes(data[self._line : found].split(b";")[0]).strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", size):
                return True
            self._last = int(size, 16) == 0
            self._line = found + 2 + int(size, 16) + 2
            self._searched = found if self._last else self._line
        # No trailers: the empty line follows at once, so its end is the end of both.
        found = data.find(b"\r\n\r\n", self._searched)
        self._searched = max(self._searched, len(data) - 3)
        return found >= 0


class TooLarge(Exception):
    """A request is larger than what is received; its argument is the status that says so."""

    @property
    def status(self) -> HTTPStatus:
        """How it is answered."""
        status: HTTPStatus = self.args[0]
        return status


class ClientSocket:
    """A client's socket as threads see it: sending does not wait, and nothing can be received."""

    def __init__(self, sock: socket.socket) -> None:
        self.unsent = bytearray()
        self._sock = sock
        sock.setblocking(False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def setblocking(self, flag: bool) -> None:
        """Nothing: the loop must not wait for a client either."""

    def sendall(self, data: bytes) -> None:
        """Send what the client takes now, and keep the rest for the loop.

        Raises:
            TimeoutError: much is kept already, and the client takes none of it.
        """
        self.unsent += data
        self.flush()
        if len(self.unsent) > LARGEST_KEPT_ANSWER:
            self._wait()

    def send(self, data: bytes) -> int:
        """As sendall; of what is kept nobody need know."""
        self.sendall(data)
        return len(data)

    def flush(self) -> bool:
        """Send what the client takes now. True: nothing is left."""
        with suppress(BlockingIOError):
            while self.unsent:
                del self.unsent[: self._sock.send(self.unsent[:_PIECE])]
        return not self.unsent

    def _wait(self) -> None:
        until = time.monotonic() + SECONDS
        with selectors.DefaultSelector() as writable:
            writable.register(self._sock, selectors.EVENT_WRITE)
            while len(self.unsent) > LARGEST_KEPT_ANSWER:
                if not writable.select(until - time.monotonic()):
                    raise TimeoutError("The client does not take the answer.")
                self.flush()


class Connection(TConn):  # type: ignore[misc]  # it has no types
    """A connection, and the request that arrives on it."""

    def __init__(
        self, cfg: Any, sock: Any, client: Any, server: Any, linger: Callable[[Connection], None]
    ) -> None:
        super().__init__(cfg, ClientSocket(sock), client, server)
        self.initialized = True  # it needs nothing from a thread
        self.arrival: Arrival | None = None
        self.late_at = 0.0
        self.held = 0  # bytes that are kept for it
        self._linger = linger

    def close(self, graceful: bool = False) -> None:
        """Close it; graceful: what still comes is thrown away, so that the answer is read."""
        if graceful:
            self._linger(self)
        else:
            super().close()


class Worker(ThreadWorker):  # type: ignore[misc]  # it has no types
    """Receives requests in its loop, and has threads answer what is there as a whole."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_keepalived = MOST_KEPT_ALIVE
        self.cfg.set("sendfile", False)  # it would send past the socket that we give to threads
        # What is done when a client can go on; the oldest first.
        self._waiting: dict[Connection, Callable[[Connection], None]] = {}
        self._held = 0  # bytes, also of requests that wait for a thread or have one
        self._refused: Counter[HTTPStatus] = Counter()  # since the last look
        self._look_at = 0.0  # at those who may be late

    def accept(self, listener: Any) -> None:
        """Accept a connection, and begin to receive."""
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        server = listener.getsockname()
        self.enqueue_req(Connection(self.cfg, sock, client, server, self._linger))

    def enqueue_req(self, conn: Connection) -> None:
        """Receive the connection's next request; a thread gets it when it is there."""
        conn.arrival = Arrival(partial(self._read_head, conn))
        self._wait(conn, selectors.EVENT_READ, self._receive, SECONDS)
        read_ahead = conn.parser.unreader.take_buffered() if conn.parser else b""
        if read_ahead:
            self._take(conn, read_ahead)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Send what is left of the answer; then keep the connection, or close it."""
        self._release(conn)
        if conn.sock.unsent and not fs.cancelled() and fs.exception() is None:
            self._wait(conn, selectors.EVENT_WRITE, partial(self._send, fs), SECONDS)
            self._hold(conn, len(conn.sock.unsent))
        else:
            super().finish_request(conn, fs)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Answer a request, whose body nobody needs to be asked for any more."""
        req._expected_100_continue = False
        return super().handle_request(req, conn)

    def murder_pending(self) -> None:
        """Cut off those who are late; and, to stop, those who have sent nothing yet."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        for status, requests in self._refused.items():  # not a line for each: floods fill disks
            self.log.info("Refused: %d requests, %d %s", requests, status.value, status.phrase)
        self._refused.clear()
        for conn in list(self._waiting):
            idle = conn.arrival is not None and not conn.arrival.data
            if conn.late_at < now or (idle and not self.alive):
                self._cut_off(conn)

    # --- one connection: received, handed to a thread, sent, lingered for ----------------------

    def _receive(self, conn: Connection) -> None:
        try:
            data = conn.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(conn, data)
        elif conn.arrival is not None and conn.arrival.data:
            self._hand_over(conn)  # it broke off, and may be told so
        else:
            self._drop(conn)

    def _take(self, conn: Connection, data: bytes) -> None:
        assert conn.arrival is not None
        self._hold(conn, len(data))
        try:
            whole = conn.arrival.add(data)
        except TooLarge as refusal:
            self._refuse(conn, refusal.status)
            return
        if self._held > MOST_HELD:
            self._refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE)
        elif whole:
            self._hand_over(conn)
        elif conn.arrival.expects_continue:
            conn.arrival.expects_continue = False
            with suppress(OSError):
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, conn: Connection) -> None:
        assert conn.arrival is not None
        self._wait_no_longer(conn)
        # Not from the socket: whatever a body says of its length, no thread waits for more of it.
        conn.parser = http.get_parser(self.cfg, [bytes(conn.arrival.data)], conn.client)
        conn.arrival = None
        super().enqueue_req(conn)

    def _send(self, fs: Any, conn: Connection) -> None:
        try:
            whole = conn.sock.flush()
        except OSError:
            self._drop(conn)
        else:
            if whole:
                self._wait_no_longer(conn)
                self._release(conn)
                super().finish_request(conn, fs)

    def _linger(self, conn: Connection) -> None:
        """A socket that is closed over what it has not read takes the answer back."""
        self.nr_conns += 1  # gunicorn counts it out before it closes it
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
        else:
            self._wait(conn, selectors.EVENT_READ, self._throw_away, _LINGER_SECONDS)

    def _throw_away(self, conn: Connection) -> None:
        try:
            going_on = bool(conn.sock.recv(_PIECE))
        except BlockingIOError:
            return
        except OSError:
            going_on = False
        if not going_on:
            self._drop(conn)

    # --- refusals --------------------------------------------------------------------------

    def _cut_off(self, conn: Connection) -> None:
        """End what a client is too slow with; it is told so if it has begun a request."""
        if conn.arrival is not None and conn.arrival.data:
            self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._drop(conn)

    def _refuse(self, conn: Connection, status: HTTPStatus) -> None:
        self._refused[status] += 1
        self._wait_no_longer(conn)
        self._release(conn)
        with suppress(OSError):
            conn.sock.sendall(_problem(status))
        self.nr_conns -= 1
        conn.close(graceful=True)

    def _drop(self, conn: Connection) -> None:
        self._wait_no_longer(conn)
        self._release(conn)
        self.nr_conns -= 1
        conn.close()

    # --- what is waited for ------------------------------------------------------------------

    def _wait(
        self, conn: Connection, event: int, then: Callable[[Connection], None], seconds: float
    ) -> None:
        if len(self._waiting) >= MOST_WAITED_FOR:
            self._drop(next(iter(self._waiting)))
        conn.late_at = time.monotonic() + seconds
        self._waiting[conn] = then
        self.poller.register(conn.sock, event, lambda _: self._go_on(conn, then))

    def _go_on(self, conn: Connection, then: Callable[[Connection], None]) -> None:
        # What the poller has told at once may be over: another one's turn made this one give way.
        if self._waiting.get(conn) is then:
            then(conn)

    def _wait_no_longer(self, conn: Connection) -> None:
        del self._waiting[conn]
        self.poller.unregister(conn.sock)

    def _hold(self, conn: Connection, size: int) -> None:
        """Count what is kept for a connection. The one that holds some for longest makes way."""
        conn.held += size
        self._held += size
        while self._held > MOST_HELD:
            others = (other for other in self._waiting if other.held and other is not conn)
            if (oldest := next(others, None)) is None:
                return
            self._drop(oldest)

    def _release(self, conn: Connection) -> None:
        self._held -= conn.held
        conn.held, conn.arrival = 0, None

    def _read_head(self, conn: Connection, head: bytes) -> Any:
        return next(http.get_parser(self.cfg, [head], conn.client))


def _problem(status: HTTPStatus) -> bytes:
    """An answer of the loop itself (RFC 9457)."""
    told = {"type": "about:blank", "title": status.phrase, "status": status.value}
    body = json.dumps(told | {"detail": status.description}).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        head += "Retry-After: 5\r\n"
    head += f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
