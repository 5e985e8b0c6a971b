"""The HTTP side: reads a request, lets the desk decide, and answers as well or as badly as told."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from integrations.sandbox.control import Control
from integrations.sandbox.desk import Delivery, Desk
from integrations.sandbox.faults import Kind
from integrations.sandbox.forms import nest, read_params
from integrations.sandbox.service import Answer, Request, new_id

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
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *args: object) -> None:
        """Nothing: the ledger is the log."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            params = read_params(self.headers.get("Content-Type", ""), body, url.query)
            if url.path.startswith("/control/"):
                self._write(_whole(self.server.control.answer(self.command, url.path, params)))
                return
            request = self._routed(url.path, params, nest(url.query))
            delivery = self._received(request) if request else _NO_SUCH_PAGE
        except ValueError as error:
            delivery = Delivery(_error(400, str(error)), None, 0.0)
        self._deliver(delivery)

    def _received(self, request: Request) -> Delivery:
        with self.server.desk.floor.working(request.service):
            return self.server.desk.receive(request)

    def _routed(
        self, path: str, params: dict[str, object], query: dict[str, object]
    ) -> Request | None:
        for service in self.server.desk.services.values():
            if found := service.route(self.command, path):
                operation, object_id = found
                headers = {name.lower(): value for name, value in self.headers.items()}
                return Request(
                    service.name,
                    operation,
                    self.command,
                    path,
                    object_id,
                    params,
                    headers,
                    query,
                )
        return None

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


_NO_SUCH_PAGE = Delivery(_error(404, "No service answers this method and path."), None, 0.0)


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
