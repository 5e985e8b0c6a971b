"""Sends a request and reads its answer, or says what may have happened when that fails."""

from __future__ import annotations

import json as jsonlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import httpcore2
import httpx2

from integrations import egress
from integrations.call import TRY_LATER, Call
from integrations.errors import OverLimit, PartnerError, PartnerRefused, QuotaSpent
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


Failure = Callable[[Call, Reply], PartnerError]


def send(
    call: Call,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | str | None = None,
    tell_time: bool = False,
    failure: Failure | None = None,
) -> Reply:
    """Send a request under all policies, and read the whole answer, whatever its status.

    Args:
        tell_time: whether the partner is told how long we wait, in `deadline.HEADER`.
        failure: what an answer of status 400 and more means to the policies, where the partner says
            more than its status does; the caller raises the same of what it does not expect.

    Raises:
        NotAsked: a policy forbids to ask now.
        QuotaSpent: so the answer says; the partner is held.
        PartnerUnavailable: nothing was sent.
        PartnerUnknown: no whole answer came back.
    """

    def ask(call: Call) -> Reply:
        told = deadline.header(call) if tell_time else {}
        return _exchange(call, method, url, {**(headers or {}), **told}, content)

    return guarded(call, ask, judge=lambda reply: _judge(call, reply, failure))


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
    found = text(reply, *path)
    return found if re.fullmatch(r"\w{1,60}", found, re.ASCII) else ""


def text(reply: Reply, *path: str | int) -> str:
    """The text at a place in the JSON of a body; "" if there is none. To look at, not to keep."""
    try:
        found = jsonlib.loads(reply.body)
        for place in path:
            found = found[place]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def _exchange(
    call: Call, method: str, url: str, headers: Mapping[str, str], content: bytes | str | None
) -> Reply:
    connect, read = deadline.limits(call)
    # Identity: a compressed answer could be small to read and huge to unpack.
    asked = {"Accept-Encoding": "identity", **headers}
    with (
        _honest(call),
        egress.until(call.deadline),
        pool.client().stream(
            method,
            url,
            headers=asked,
            content=content,
            timeout=httpx2.Timeout(max(call.remaining, 0.001), connect=connect, read=read),
        ) as answer,
    ):
        return Reply(answer.status_code, answer.headers, _read(call, answer))


def _judge(call: Call, reply: Reply, failure: Failure | None) -> PartnerError | None:
    """What an answer says to the policies.

    Neither a refused read is a failure of the partner, nor a 429 that is not about our account.
    """
    if reply.status < 400:
        return None
    error = failure(call, reply) if failure else call.failure(reply.status, reply.headers)
    well = 400 <= reply.status < 500 and reply.status not in TRY_LATER - {429}
    if well and not isinstance(error, OverLimit | QuotaSpent):
        return PartnerRefused(call.partner, call.operation, f"answered {reply.status}")
    return error


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
    """The body; some partners compress it without being asked to."""
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise call.unknown(f"answered {answer.status_code} in an encoding that was not asked for")
    packed = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if _CODINGS[coding] else None
    body = bytearray()
    try:
        for chunk in answer.iter_raw():
            # At most one byte too many is unpacked, however much the rest would be.
            body += packed.decompress(chunk, MAX_BODY + 1 - len(body)) if packed else chunk
            if len(body) > MAX_BODY:
                raise call.unknown(f"answered {answer.status_code} with more than {MAX_BODY} bytes")
    except zlib.error:
        raise call.unknown(f"answered {answer.status_code} with a broken {coding}") from None
    if packed and body and not packed.eof:
        raise call.unknown(f"answered {answer.status_code} with half a {coding}")
    return bytes(body)


_CODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True, "deflate": True}


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
