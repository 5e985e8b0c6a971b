"""smtplib and aiosmtplib against the mail sink, plain and by STARTTLS."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from uuid import uuid4

import aiosmtplib
import pytest

from integrations.sandbox.process import RunningSandbox


@pytest.fixture
def trusting(sandbox: RunningSandbox) -> ssl.SSLContext:
    """What a client needs who is to trust the sink's certificate and no other."""
    return ssl.create_default_context(cafile=sandbox.certificate)


def _message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "shop@example.com", "ann@example.com"
    message["Message-ID"] = f"<{uuid4().hex}@example.com>"
    message["Subject"], message["X-Reference"] = "Your order", uuid4().hex
    message.set_content("On its way.")
    return message


def _by_smtplib(sandbox: RunningSandbox, context: ssl.SSLContext, message: EmailMessage) -> None:
    with smtplib.SMTP(*sandbox.smtp, timeout=10) as client:
        client.starttls(context=context)
        client.send_message(message)


def _plainly(sandbox: RunningSandbox, context: ssl.SSLContext, message: EmailMessage) -> None:
    with smtplib.SMTP(*sandbox.smtp, timeout=10) as client:
        client.send_message(message)


def _by_aiosmtplib(sandbox: RunningSandbox, context: ssl.SSLContext, message: EmailMessage) -> None:
    asyncio.run(_sent(sandbox, context, message))


async def _sent(sandbox: RunningSandbox, context: ssl.SSLContext, message: EmailMessage) -> None:
    host, port = sandbox.smtp
    async with aiosmtplib.SMTP(
        hostname=host, port=port, start_tls=True, tls_context=context, timeout=10
    ) as client:
        protocol = client.protocol
        assert protocol is not None
        await client.send_message(message)
    # It leaves the farewell of TLS to the loop, which must not end before.
    async with asyncio.timeout(10):
        while protocol.transport is not None:
            await asyncio.sleep(0)


@pytest.mark.parametrize("send", [_plainly, _by_smtplib, _by_aiosmtplib])
def test_a_message_is_taken_once(
    send: Callable[[RunningSandbox, ssl.SSLContext, EmailMessage], None],
    sandbox: RunningSandbox,
    trusting: ssl.SSLContext,
) -> None:
    message = _message()
    send(sandbox, trusting, message)
    (effect,) = sandbox.ledger.effects(str(message["X-Reference"]))
    assert (effect.kind, f"<{effect.object_id}>") == ("sent", str(message["Message-ID"]))


def test_a_certificate_that_is_not_trusted_is_told(sandbox: RunningSandbox) -> None:
    with smtplib.SMTP(*sandbox.smtp, timeout=10) as client:
        with pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=ssl.create_default_context())
        client.close()
