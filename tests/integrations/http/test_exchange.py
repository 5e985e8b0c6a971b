import gzip
import json
import socket
import threading
import traceback
import zlib
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.call import Call
from integrations.errors import NotAsked, PartnerUnavailable, PartnerUnknown
from integrations.http import Reply, parse, send, word
from integrations.sandbox.process import RunningSandbox
from tests.integrations.http.raw import answering, response


def write(timeout: float = 5.0) -> Call:
    return Call.within(timeout, "shipping", "book_courier")


def read(timeout: float = 5.0) -> Call:
    return Call.within(timeout, "shipping", "find_courier", writes=False)


def book(sandbox: RunningSandbox, reference: str, fault: str, timeout: float = 5.0) -> Reply:
    return send(
        write(timeout),
        "POST",
        f"{sandbox.address}/shipping/bookings",
        headers={
            "Content-Type": "application/json",
            "Idempotency-Key": reference,
            "Sandbox-Fault": fault,
        },
        content=json.dumps({"address": "1 Main Street", "reference": reference}),
    )


def kinds(sandbox: RunningSandbox, reference: str) -> list[str]:
    return [effect.kind for effect in sandbox.ledger.effects(reference)]


def told(error: BaseException) -> str:
    """What a log says of an error, with what led to it."""
    return "".join(traceback.format_exception(error))


def test_an_answer_is_returned_whatever_its_status() -> None:
    with answering(response(b"{}", "418 I'm a teapot", "X-Pot: 1")) as address:
        reply = send(write(), "POST", address)
    assert (reply.status, reply.headers["x-pot"], reply.body) == (418, "1", b"{}")


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("GZip", gzip.compress), ("deflate", zlib.compress)],
)
def test_an_answer_that_is_compressed_without_being_asked_for_is_read(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = response(pack(b'{"id": "a"}'), "200 OK", f"Content-Encoding: {coding}")
    with answering(packed) as address:
        assert parse(write(), send(write(), "POST", address)) == {"id": "a"}


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        ("gzip", gzip.compress(b" " * 1_000_001), "more than 1000000 bytes"),
        ("gzip", gzip.compress(b" " * 50_000_000), "more than 1000000 bytes"),
        ("gzip", gzip.compress(b"{}")[:-9], "half a gzip"),
        ("gzip", b"{}", "broken gzip"),
        ("deflate", b"{}", "broken deflate"),
        ("br", b"{}", "in an encoding that was not asked for"),
    ],
    ids=["a bit too long", "a bomb", "half", "not packed", "not deflated", "brotli"],
)
def test_what_cannot_be_unpacked_is_no_answer(coding: str, body: bytes, why: str) -> None:
    packed = response(body, "200 OK", f"Content-Encoding: {coding}")
    with answering(packed) as address:
        with pytest.raises(PartnerUnknown, match=why):
            send(write(), "POST", address)
        with pytest.raises(PartnerUnavailable, match=why):
            send(read(), "GET", address)


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PartnerUnavailable, match="nothing was sent"):
        send(write(), "POST", f"http://127.0.0.1:{port}/")


def test_where_no_name_resolves_nothing_was_sent() -> None:
    with pytest.raises(PartnerUnavailable, match="nothing was sent"):
        send(write(), "POST", "http://no-such-host.invalid/")


def test_a_header_that_cannot_be_sent_is_not_told_to_anybody() -> None:
    secret = uuid4().hex
    with (
        answering(response(b"")) as address,
        pytest.raises(PartnerUnavailable, match="nothing was sent") as raised,
    ):
        send(write(), "POST", address, headers={"Authorization": f"Bearer {secret}\n"})
    assert secret not in told(raised.value)


def test_an_answer_that_is_none_is_not_told_to_anybody() -> None:
    customer = f"{uuid4().hex}@example.com"
    with (
        answering(f"HTTP/1.1 {customer}\r\n\r\n".encode()) as address,
        pytest.raises(PartnerUnknown, match="no valid answer") as raised,
    ):
        send(write(), "POST", address)
    assert customer not in told(raised.value)


def test_where_connecting_takes_too_long_nothing_was_sent() -> None:
    # A listener whose queue is full lets no further connection through.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with pytest.raises(PartnerUnavailable, match="nothing was sent"):
            send(write(0.3), "POST", f"http://127.0.0.1:{full.getsockname()[1]}/")
        for one in waiting:
            one.close()


@pytest.mark.parametrize("fault", ["drop-before", "drop-after"])
def test_a_dropped_connection_leaves_a_write_unknown(
    sandbox: RunningSandbox, reference: str, fault: str
) -> None:
    with pytest.raises(PartnerUnknown, match="no valid answer came back"):
        book(sandbox, reference, fault)
    assert kinds(sandbox, reference) == (["courier_booked"] if fault == "drop-after" else [])


def test_an_answer_without_end_is_cut_off(sandbox: RunningSandbox, reference: str) -> None:
    with pytest.raises(PartnerUnknown, match="more than 1000000 bytes"):
        book(sandbox, reference, "huge")
    assert kinds(sandbox, reference) == ["courier_booked"]


def test_an_answer_that_drips_ends_with_the_call(sandbox: RunningSandbox, reference: str) -> None:
    # Each byte comes well within any timeout of a single read, and the last one after the call.
    with pytest.raises(PartnerUnknown, match=r"the step's time is over|timed out"):
        book(sandbox, reference, "drip;seconds=0.02", timeout=0.5)
    whole = book(sandbox, f"{reference}-2", "drip;seconds=0.001", timeout=20)
    assert whole.status == 201


def test_a_slow_answer_ends_with_the_call(sandbox: RunningSandbox, reference: str) -> None:
    with pytest.raises(PartnerUnknown, match="timed out"):
        book(sandbox, reference, "slow;seconds=2", timeout=0.3)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, id="endless header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}", id="digits"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, id="never a last answer"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\x00: 1\r\n\r\n",
    ],
)
def test_what_is_no_http_answer_leaves_a_write_unknown_and_a_read_unavailable(
    answer: bytes,
) -> None:
    with answering(answer) as address:
        with pytest.raises(PartnerUnknown):
            send(write(), "POST", address, content=b"{}")
        with pytest.raises(PartnerUnavailable):
            send(read(), "GET", address)


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200)
    | st.binary(max_size=100).map(b"HTTP/1.1 200 OK\r\n".__add__)
    | st.binary(max_size=100).map(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".__add__)
)
def test_whatever_bytes_come_back_they_are_an_answer_or_a_partners_failure(answer: bytes) -> None:
    call = write()
    with answering(answer) as address, suppress(PartnerUnknown):
        assert isinstance(parse(call, send(call, "POST", address, content=b"{}")), dict)


def test_a_body_of_a_gigabyte_is_left_where_it_is() -> None:
    """It is refused while it is read; the sender, who has sent a little of it, goes on."""
    read_of_it = 0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            nonlocal read_of_it
            peer, _ = server.accept()
            with peer, suppress(OSError):
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while read_of_it < 1_000_000_000:
                    read_of_it += peer.send(b"x" * 65536)

        sender = threading.Thread(target=serve)
        sender.start()
        with pytest.raises(PartnerUnknown, match="more than 1000000 bytes"):
            send(write(), "POST", f"http://127.0.0.1:{server.getsockname()[1]}/", content=b"{}")
        sender.join(10)
    assert not sender.is_alive()
    assert read_of_it < 50_000_000


def test_a_redirect_is_not_followed() -> None:
    with answering(response(b"", "303 See Other", "Location: /elsewhere")) as address:
        assert send(write(), "POST", address).status == 303


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"text"',
        b"NaN",
        b'{"amount": NaN}',
        b'{"amount": -Infinity}',
        pytest.param(b'{"n": ' + b"1" * 5000 + b"}", id="too many digits"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b'{"a": ' * 50_000, id="objects too deep"),
        b"\xff\xfe\x00",
        pytest.param(gzip.compress(b"{}", mtime=0), id="compressed"),
    ],
)
def test_what_is_no_json_object_is_no_answer(body: bytes) -> None:
    with pytest.raises(PartnerUnknown, match="answered 200 with"):
        parse(write(), Reply(200, {}, body))
    with pytest.raises(PartnerUnavailable):
        parse(read(), Reply(200, {}, body))


def test_a_json_object_is_an_answer() -> None:
    assert parse(write(), Reply(200, {}, b'{"id": "a"}')) == {"id": "a"}


def test_calls_pass_the_policies_and_a_failing_status_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(monkeypatch, breaker={"minimum": 2})
    with answering(response(b"", "502 Bad Gateway")) as address:
        for _ in range(2):
            assert send(write(), "POST", address, content=b"{}").status == 502
        with pytest.raises(NotAsked, match="circuit breaker is open"):
            send(write(), "POST", address, content=b"{}")


@pytest.mark.parametrize("call", [write, read])
@pytest.mark.parametrize("status", ["404 Not Found", "409 Conflict", "400 Bad Request"])
def test_a_refusal_is_no_failure_of_the_partner(
    call: Callable[[], Call], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, breaker={"minimum": 2})
    with answering(response(b"", status)) as address:
        for _ in range(3):
            assert send(call(), "GET", address).status == int(status[:3])


def test_a_429_shuts_the_partners_budget_for_as_long_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(monkeypatch)
    with answering(response(b"", "429 Too Many Requests", "Retry-After: 20")) as address:
        assert send(write(), "POST", address, content=b"{}").status == 429
        with pytest.raises(NotAsked, match="rate limit") as caught:
            send(write(), "POST", address, content=b"{}")
    assert caught.value.retry_after == pytest.approx(20, abs=5)


def test_a_read_that_met_a_hiccup_is_made_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, retry={"base": 0.001})
    hiccup = response(b"", "503 Service Unavailable")
    with answering(hiccup, response(b"{}")) as address:
        assert send(read(), "GET", address).status == 200
    with answering(hiccup, response(b"{}")) as address:
        assert send(write(), "POST", address, content=b"{}").status == 503


def test_a_partner_is_told_how_long_we_wait_where_it_is_one_of_ours() -> None:
    seen: list[bytes] = []
    with answering(response(b"{}"), seen=seen) as address:
        send(read(), "GET", address)
        send(read(), "GET", address, tell_time=True)
    plain, told = (request.lower() for request in seen)
    assert b"x-envoy-expected-rq-timeout-ms" not in plain
    assert b"x-envoy-expected-rq-timeout-ms: 4" in told


def say(monkeypatch: pytest.MonkeyPatch, **policies: dict[str, float]) -> None:
    monkeypatch.setenv("INTEGRATIONS_RESILIENCE", json.dumps({"*": policies}))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"error": {"code": "out_of_stock"}}', "out_of_stock"),
        (b'{"error": {"code": "jane@example.com is unknown"}}', ""),
        (b'{"error": {"code": 7}}', ""),
        (b'{"error": "out_of_stock"}', ""),
        (b'["error"]', ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_of_an_errors_body_only_a_word_is_taken(body: bytes, found: str) -> None:
    assert word(Reply(400, {}, body), "error", "code") == found


def test_a_word_may_stand_in_a_list() -> None:
    reply = Reply(400, {}, b'[{"errorCode": "DUPLICATE_VALUE"}]')
    assert word(reply, 0, "errorCode") == "DUPLICATE_VALUE"
    assert word(reply, 1, "errorCode") == ""


@pytest.mark.parametrize(
    ("headers", "seconds"), [(["Retry-After: 1.5"], 1.5), (["Retry-After: 1", "Retry-After: 4"], 4)]
)
def test_fractions_and_several_values_of_retry_after_are_read(
    headers: list[str], seconds: float
) -> None:
    call = Call.within(5.0, "payments", "find", writes=False)
    with answering(response(b"", "503 Service Unavailable", *headers)) as address:
        reply = send(call, "GET", address)
    error = call.failure(reply.status, reply.headers)
    assert isinstance(error, PartnerUnavailable)
    assert error.retry_after == seconds
