import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from project.sentry import report_errors

DSN = "https://key@sentry.invalid/1"


class Kept(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    @property
    def sent(self) -> bytes:
        return b"".join(envelope.serialize() for envelope in self.envelopes)


@contextmanager
def reporting() -> Iterator[Kept]:
    report_errors(DSN, "test")
    client, kept = sentry_sdk.get_client(), Kept()
    client.transport = kept
    try:
        with sentry_sdk.isolation_scope():
            yield kept
        client.flush()
    finally:
        sentry_sdk.get_global_scope().set_client(None)


def charge(card_number: str) -> None:
    raise RuntimeError("refused")


def test_a_reported_error_carries_no_local_variables() -> None:
    card_number = "".join(["4242"] * 4)  # the lines around it are sent, too
    with reporting() as kept:
        try:
            charge(card_number)
        except RuntimeError as error:
            sentry_sdk.capture_exception(error)
    assert b"refused" in kept.sent
    assert card_number.encode() not in kept.sent


def test_no_address_that_a_partner_was_called_at_is_reported() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200)

    with reporting() as kept, httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        client.post("https://partner.invalid/services/path-secret?api_secret=query-secret")
        logging.getLogger("shop").error("it went wrong")
    assert b"it went wrong" in kept.sent
    assert b"path-secret" not in kept.sent
    assert b"query-secret" not in kept.sent
    assert not {"sentry-trace", "baggage"} & asked[0].headers.keys()


def test_what_a_reported_error_says_is_masked_and_where_it_was_raised_is_not() -> None:
    name, born = "Mustermann", "1984-" + "03-12"

    def fail() -> None:
        try:
            raise ValueError(f"no such customer: {name}")
        except ValueError as error:
            raise LookupError(f"nobody was born {born}") from error

    with reporting() as kept:
        try:
            fail()
        except LookupError as error:
            sentry_sdk.capture_exception(error)
        try:
            fail()
        except LookupError:
            logging.getLogger("shop").exception("it failed")
    assert b"LookupError" in kept.sent
    assert b"nobody was born" in kept.sent
    assert b'"function":"fail"' in kept.sent
    assert born.encode() not in kept.sent
    assert f"customer: {name}".encode() not in kept.sent
