"""Sends a request and reads its answer, or says what may have happened when that fails."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import httpcore2
import httpx2

from integrations.call import TRY_LATER, Call
from integrations.errors import PartnerError, PartnerRefused
from integrations.http import pool
from integrations.resilience import deadline, guarded

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
    tell_time: bool = False,
) -> Reply:
    """Send a request under all policies, and read the whole answer, whatever its status.

    Args:
        tell_time: whether the partner is told how long we wait, in `deadline.HEADER`.

    Raises:
        NotAsked: a policy forbids to ask now.
        PartnerUnavailable: nothing was sent.
        PartnerUnknown: no whole answer came back.
    """

    def ask(call: Call) -> Reply:
        told = deadline.header(call) if tell_time else {}
        return _exchange(call, method, url, {**(headers or {}), **told}, content)

    return guarded(call, ask, judge=lambda reply: _judge(call, reply))


def parse(call: Call, reply: Reply) -> dict[str, Any]:
    """The JSON object in `reply`. Raises PartnerError for what is none: NaN, too deep, a list."""
    try:
        value = jsonlib.loads(reply.body, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise call.unknown(f"answered {reply.status} with a body that is no JSON") from None
    if not isinstance(value, dict):
        raise call.unknown(f"answered {reply.status} with JSON that is no object")
    return value


def word(reply: Reply, *path: str | int) -> str:
    """The word at a place in the JSON of an error's body, such as its code; "" if there is none.

    Never a sentence: partners' sentences quote what somebody typed.
    """
    try:
        found = jsonlib.loads(reply.body)
        for place in path:
            found = found[place]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return found if isinstance(found, str) and re.fullmatch(r"\w{1,60}", found, re.ASCII) else ""


def _exchange(
    call: Call, method: str, url: str, headers: Mapping[str, str], content: bytes | str | None
) -> Reply:
    connect, read = deadline.limits(call)
    # Identity: a compressed answer could be small to read and huge to unpack.
    asked = {"Accept-Encoding": "identity", **headers}
    with (
        _honest(call),
        pool.until(call.deadline),
        pool.client().stream(
            method,
            url,
            headers=asked,
            content=content,
            timeout=httpx2.Timeout(max(call.remaining, 0.001), connect=connect, read=read),
        ) as answer,
    ):
        return Reply(answer.status_code, answer.headers, _read(call, answer))


def _judge(call: Call, reply: Reply) -> PartnerError | None:
    """What a status says to the policies. A refused read is no failure of the partner."""
    if reply.status < 400:
        return None
    if 400 <= reply.status < 500 and reply.status not in TRY_LATER:
        return PartnerRefused(call.partner, call.operation, f"answered {reply.status}")
    return call.failure(reply.status, reply.headers)


@contextmanager
def _honest(call: Call) -> Iterator[None]:
    """Turn what the socket raised into what it means for the effect."""
    try:
        yield
    except (
        httpcore2.ConnectError,
        httpcore2.ConnectTimeout,
        httpcore2.PoolTimeout,
    ) as error:
        raise call.unavailable(f"nothing was sent ({_name(error)})") from error
    except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
        raise call.unknown(f"no valid answer came back ({_name(error)})") from error
    # Their words quote what was to be sent, or what came: a header's secret, somebody's data.
    except httpcore2.LocalProtocolError as error:
        raise call.unavailable(f"nothing was sent ({type(error).__name__})") from None
    except httpcore2.ProtocolError as error:
        raise call.unknown(f"no valid answer came back ({type(error).__name__})") from None


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
