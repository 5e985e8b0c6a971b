"""A stand-in mail provider: takes messages over SMTP and says over HTTP which ones it took."""

from __future__ import annotations

import asyncio
import ssl
import threading
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from integrations.sandbox.describe import TEXT, About, items, record
from integrations.sandbox.desk import Delivery, Desk
from integrations.sandbox.faults import Kind
from integrations.sandbox.service import Answer, Request, Route, Service

_TAKEN = record({"message_id": TEXT, "reference": TEXT, "subject": TEXT})
_FIND = About(
    "The messages that were taken; one, if its id is given.",
    {200: record({"data": items(_TAKEN)})},
    record({}, {"message_id": TEXT}),
)


class Messages(Service):
    """Takes every message, the same one twice if it is sent twice, as mail servers do."""

    name = "messages"
    idempotent = False
    routes = (Route.make("find", "GET", "/messages", _FIND),)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._taken: list[dict[str, str]] = []

    def turned_away(self, request: Request) -> Answer | None:
        return None

    def perform(self, request: Request) -> Answer:
        if request.operation == "find":
            wanted = request.params.get("message_id")
            found = [m for m in self._taken if wanted in (None, m["message_id"])]
            return Answer(200, {"data": found})
        taken = {name: request.params[name] for name in ("message_id", "reference", "subject")}
        self._taken.append(taken)
        return Answer(200, taken, [self.effect(request, "sent", taken["message_id"])])

    def refuse(self, request: Request) -> Answer:
        return self.error(422, "refused", "Not taken.")

    def error(self, status: int, code: str, message: str) -> Answer:
        return Answer(status, {"error": {"code": code, "message": message}}, saved=False)

    def reference(self, request: Request) -> str:
        return str(request.params.get("reference", ""))

    def clear(self) -> None:
        self._taken.clear()


def serve_smtp(desk: Desk, host: str, port: int, tls: ssl.SSLContext) -> tuple[str, int]:
    """Listen for mail, plain or by STARTTLS, in a thread of its own; returns the address."""

    def session() -> SMTP:
        return SMTP(_Handler(desk), hostname="sandbox", tls_context=tls)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(session, host, port))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    address: tuple[str, int] = server.sockets[0].getsockname()[:2]
    return address


class _Handler:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def handle_DATA(  # noqa: N802  # aiosmtpd calls it by this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        delivery = self._desk.receive(_request(envelope))
        await asyncio.sleep(delivery.delay)
        if delivery.answer is None:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return _reply(delivery)


def _request(envelope: Envelope) -> Request:
    """A message as a request: the key is what stands before the @ of its Message-ID."""
    content = envelope.original_content or b""
    message = message_from_bytes(content, policy=policy.default)
    params = {
        "message_id": str(message["Message-ID"] or "").strip("<> "),
        "reference": str(message["X-Reference"] or ""),
        "subject": str(message["Subject"] or ""),
    }
    headers = {"idempotency-key": params["message_id"].partition("@")[0]}
    return Request("messages", "send", "POST", "", "", params, headers)


def _reply(delivery: Delivery) -> str:
    status = delivery.answer.status if delivery.answer else 503
    if delivery.manner in (Kind.GARBAGE, Kind.HUGE, Kind.DRIP):
        return "this is no reply"
    if status == 200:
        return "250 2.0.0 Taken"
    if status == 422:
        return "550 5.7.1 Not taken"
    return "451 4.3.0 Not now"
