"""Bodies in chunks and of any length, as they come off the wire."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email.message import Message
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from integrations.sandbox.bodies import LIMIT, Unreadable, read_body
from integrations.sandbox.process import API_KEY, RunningSandbox


def read(body: bytes, *headers: tuple[str, str]) -> bytes:
    message = Message()
    for name, value in headers:
        message[name] = value
    return read_body(message, BytesIO(body))


CHUNKED = ("Transfer-Encoding", "chunked")


def test_a_body_in_chunks_is_put_together() -> None:
    assert read(b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest", CHUNKED) == (
        b"abc0123456789"
    )


def test_a_body_is_as_long_as_it_is_said_to_be() -> None:
    assert read(b"abcdef", ("Content-Length", "3")) == b"abc"
    assert read(b"abcdef") == b""


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", [("Content-Length", str(LIMIT + 1))], 413),
        (b"", [("Content-Length", "-1")], 400),
        (b"", [("Content-Length", "many")], 400),
        (b"ab", [("Content-Length", "3")], 400),
        (b"ab", [("Content-Length", "2"), ("Content-Length", "1")], 400),
        (b"ab", [("Content-Length", "2"), CHUNKED], 400),
        (b"ab", [("Transfer-Encoding", "gzip, chunked")], 501),
        (b"ab", [("Content-Encoding", "gzip")], 415),
        (b"%x\r\n" % (LIMIT + 1), [CHUNKED], 413),
        (b"%x\r\n%b\r\n1\r\n" % (LIMIT, b" " * LIMIT), [CHUNKED], 413),
        (b"x\r\nabc\r\n0\r\n\r\n", [CHUNKED], 400),
        (b"1\r\nabc\r\n0\r\n\r\n", [CHUNKED], 400),
        (b"3\r\nabc", [CHUNKED], 400),
        (b"1" * 5000, [CHUNKED], 400),
    ],
)
def test_a_body_that_cannot_be_read_to_its_end_is_refused(
    body: bytes, headers: list[tuple[str, str]], status: int
) -> None:
    with pytest.raises(Unreadable) as refused:
        read(body, *headers)
    assert refused.value.status == status


def test_a_customer_sent_in_chunks_has_all_that_was_sent(sandbox: RunningSandbox) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"email=ann%40exam"
        yield b"ple.com&name=Ann"

    answer: Any = httpx2.post(
        f"{sandbox.address}/v1/customers",
        content=chunks(),
        headers={
            "Authorization": f"Bearer {API_KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    ).json()
    assert (answer["email"], answer["name"]) == ("ann@example.com", "Ann")


def test_a_connection_with_a_body_that_was_not_read_is_closed(sandbox: RunningSandbox) -> None:
    url = urlsplit(sandbox.address)
    head = f"POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
