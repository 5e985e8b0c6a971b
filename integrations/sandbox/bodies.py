"""Reads the body of a request off the wire, whole or in chunks, up to a cap."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

LIMIT = 1024 * 1024
"""Bytes of the longest body that is read."""

_LINE = 1024


class Unreadable(Exception):
    """A body that is not read, so that nothing after it on the connection can be read either."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """The body that the headers announce. Raises Unreadable."""
    if "Content-Encoding" in headers:
        raise Unreadable(415, "Send the body as it is, without a Content-Encoding.")
    lengths, codings = (
        headers.get_all(name, []) for name in ("Content-Length", "Transfer-Encoding")
    )
    if len(lengths) + len(codings) > 1:
        raise Unreadable(400, "Say once how long the body is.")
    if codings:
        if codings[0].strip().lower() != "chunked":
            raise Unreadable(501, "Only the transfer coding chunked is known.")
        return b"".join(_chunks(stream))
    length = _size(lengths[0] if lengths else "0", r"[0-9]+", 10)
    return _read(stream, _fitting(length))


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    total = 0
    while size := _size(_line(stream).partition(";")[0], r"[0-9A-Fa-f]+", 16):
        total = _fitting(total + size)
        yield _read(stream, size)
        if _line(stream):
            raise Unreadable(400, "A chunk is longer than it says.")
    while _line(stream):
        """Trailers say nothing about the body."""


def _line(stream: BufferedIOBase) -> str:
    line = stream.readline(_LINE)
    if not line.endswith(b"\r\n"):
        raise Unreadable(400, "A line of the chunked body is too long or has no end.")
    return line[:-2].decode("latin-1")


def _size(text: str, pattern: str, base: int) -> int:
    if not re.fullmatch(pattern, text.strip()):
        raise Unreadable(400, f"{text!r} is no length.")
    return int(text[:_LINE], base)


def _fitting(length: int) -> int:
    if length > LIMIT:
        raise Unreadable(413, f"The body is longer than {LIMIT} bytes.")
    return length


def _read(stream: BufferedIOBase, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise Unreadable(400, "The body ends before it should.")
    return data
