"""Sends a request and reads its answer, or says what may have happened when that fails."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

import httpcore2
import httpx2

from integrations.call import Call
from integrations.conf import HttpSettings, load
from integrations.http import pool

MAX_BODY = 1_000_000
"""Bytes of an answer that are read; a longer one is no answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that arrived whole, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def send(
    call: Call,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | str | None = None,
) -> Reply:
    """Send one request and read the whole answer before the call's deadline, whatever its status.

    Raises PartnerUnavailable if nothing was sent, PartnerUnknown if no whole answer came back.
    """
    call.check_time()
    connect = min(call.remaining, _settings().connect_timeout)
    # Identity: a compressed answer could be small to read and huge to unpack.
    asked = {"Accept-Encoding": "identity", **(headers or {})}
    with (
        _honest(call),
        pool.until(call.deadline),
        pool.client().stream(
            method,
            url,
            headers=asked,
            content=content,
            timeout=httpx2.Timeout(call.remaining, connect=connect),
        ) as answer,
    ):
        return Reply(answer.status_code, answer.headers, _read(call, answer))


def parse(call: Call, reply: Reply) -> dict[str, Any]:
    """The JSON object in `reply`. Raises PartnerError for what is none: NaN, too deep, a list."""
    try:
        value = jsonlib.loads(reply.body, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise call.unknown(f"answered {reply.status} with a body that is no JSON") from None
    if not isinstance(value, dict):
        raise call.unknown(f"answered {reply.status} with JSON that is no object")
    return value


@cache
def _settings() -> HttpSettings:
    return load(HttpSettings)


@contextmanager
def _honest(call: Call) -> Iterator[None]:
    """Turn what the socket raised into what it means for the effect."""
    try:
        yield
    except (
        httpcore2.ConnectError,
        httpcore2.ConnectTimeout,
        httpcore2.PoolTimeout,
        httpcore2.LocalProtocolError,
    ) as error:
        raise call.unavailable(f"nothing was sent ({_name(error)})") from error
    except (
        httpcore2.NetworkError,
        httpcore2.TimeoutException,
        httpcore2.ProtocolError,
    ) as error:
        raise call.unknown(f"no valid answer came back ({_name(error)})") from error


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _read(call: Call, answer: httpx2.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > MAX_BODY:
            raise call.unknown(f"answered {answer.status_code} with more than {MAX_BODY} bytes")
    return bytes(body)


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
