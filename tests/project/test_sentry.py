import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from project.sentry import report_errors

DSN = "https://key@sentry.invalid/1"


class Kept(Transport):
    """Keeps what would be sent."""

    sent: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent.append(envelope)


def charge(card_number: str) -> None:
    raise RuntimeError("refused")


def test_a_reported_error_carries_no_local_variables() -> None:
    report_errors(DSN, "test")
    client = sentry_sdk.get_client()
    client.transport = Kept()
    try:
        try:
            charge("4242424242424242")
        except RuntimeError as error:
            sentry_sdk.capture_exception(error)
        client.flush()
    finally:
        sentry_sdk.get_global_scope().set_client(None)
    sent = b"".join(envelope.serialize() for envelope in Kept.sent)
    assert b"refused" in sent
    assert b"4242424242424242" not in sent.replace(b'charge(\\"4242424242424242\\")', b"")
