"""The HTTP side: reads a request, lets the desk decide, and answers as well or as badly as told."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, urlsplit

from integrations.sandbox.bodies import Unreadable, read_body
from integrations.sandbox.control import Control
from integrations.sandbox.describe import JSON, document
from integrations.sandbox.desk import Delivery, Desk
from integrations.sandbox.faults import Kind
from integrations.sandbox.forms import nest, read_params
from integrations.sandbox.service import Answer, Request, Route, Service, new_id

_NOT_JSON = b"<html>this is not the answer you are looking for"


class Server(ThreadingHTTPServer):
    """One thread per connection, kept alive between requests."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], desk: Desk, control: Control) -> None:
        super().__init__(address, _Handler)
        self.desk = desk
        self.control = control


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._deliver(self._asked())

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  # http.server calls them so
    do_OPTIONS = do_TRACE = do_QUERY = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Nothing: the ledger is the log."""

    def _asked(self) -> Delivery:
        """What this request leads to."""
        try:
            url = urlsplit(self.path)
            body = read_body(self.headers, self.rfile)
        except Unreadable as error:
            self.close_connection = True
            return _plain(_error(error.status, str(error)))
        except ValueError as error:
            return _plain(_error(400, str(error)))
        if url.path == "/openapi.json":
            return _plain(Answer(200, document(self._services)))
        if url.path.startswith("/control/"):
            return self._controlled(url, body)
        for service in self._services:
            if found := service.route(self.command, url.path):
                return self._received(service, found, url, body)
        nearly = (service.misrouted(url.path) for service in self._services)
        answer = next((answer for answer in nearly if answer), None)
        return _plain(answer or _error(404, "No service answers this method and path."))

    @property
    def _services(self) -> Collection[Service]:
        return self.server.desk.services.values()

    def _controlled(self, url: SplitResult, body: bytes) -> Delivery:
        try:
            params = read_params(JSON, body) if body else nest(url.query)
        except ValueError as error:
            return _plain(_error(400, str(error)))
        return _plain(self.server.control.answer(self.command, url.path, params))

    def _received(
        self, service: Service, found: tuple[Route, str], url: SplitResult, body: bytes
    ) -> Delivery:
        route, object_id = found
        media = route.about.media or service.media
        if body and self.headers.get_content_type() != (media if route.has_body else None):
            wanted = f"a body as {media}" if route.has_body else "no body"
            return _plain(service.error(415, service.invalid, f"This operation takes {wanted}."))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            params, beside = nest(url.query), {}
            if route.has_body:
                params, beside = read_params(media, body) if body else {}, params
            asked = (self.command, url.path, object_id, params, headers, beside)
            with self.server.desk.floor.working(service.name):
                return self.server.desk.receive(Request(service.name, route.operation, *asked))
        except ValueError as error:
            return _plain(service.error(400, service.invalid, str(error)))

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.answer is None:
            self._hang_up()
        elif delivery.manner is Kind.GARBAGE:
            self._write(_raw(200, _NOT_JSON))
        elif delivery.manner is Kind.HUGE:
            self._pour(_endless())
        elif delivery.manner is Kind.DRIP:
            self._pour(_drops(_whole(delivery.answer), delivery.delay))
        else:
            time.sleep(delivery.delay)
            self._write(_whole(delivery.answer))

    def _pour(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            if self.close_connection:
                return
            self._write(piece)

    def _write(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
        except OSError:
            # The client gave up waiting, as it should under some of the faults.
            self.close_connection = True

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"error": {"code": "bad_request", "message": message}})


def _plain(answer: Answer) -> Delivery:
    return Delivery(answer, None, 0.0)


def _whole(answer: Answer) -> bytes:
    if answer.status == HTTPStatus.NO_CONTENT:
        return _raw(answer.status, b"", answer.headers)
    if isinstance(answer.body, str):
        headers = {"Content-Type": "text/plain; charset=utf-8", **answer.headers}
        return _raw(answer.status, answer.body.encode(), headers)
    return _raw(answer.status, json.dumps(answer.body).encode(), answer.headers)


def _raw(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    lines = {
        "Content-Type": "application/json",
        **({} if status == HTTPStatus.NO_CONTENT else {"Content-Length": str(len(body))}),
        "Date": formatdate(usegmt=True),
        "Request-Id": new_id("req"),
        **(headers or {}),
    }
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + body


def _endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    while True:
        yield b" " * 65536


def _drops(whole: bytes, pause: float) -> Iterator[bytes]:
    """A whole answer, byte by byte from its very first line."""
    for byte in whole:
        yield bytes([byte])
        time.sleep(pause)
