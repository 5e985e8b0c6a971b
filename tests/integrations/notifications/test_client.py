"""What only the real client does, against the sandbox. The rest is in the conformance suite."""

import email
import socket
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from integrations.conf import NotificationsSettings
from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.notifications.client import MailNotifications, connect
from integrations.notifications.schemas import Sent
from integrations.sandbox.process import RunningSandbox
from tests.integrations.conftest import SetEgress
from tests.integrations.egress.peers import Peer, answering_over_tls, certified, serving
from tests.integrations.egress.resolver import Resolver


@pytest.fixture
def client(sandbox: RunningSandbox) -> MailNotifications:
    return connect()


def send(client: MailNotifications, **changed: object) -> Sent:
    message: dict[str, object] = {
        "to": "customer@example.com",
        "subject": "Your order",
        "body": "It left today.",
        "reference": "order:1",
        "key": str(uuid4()),
        "timeout": 5.0,
        **changed,
    }
    return client.send(**message)  # type: ignore[arg-type]


def test_the_message_id_is_made_of_the_key_and_our_own_domain(
    client: MailNotifications, settings: object
) -> None:
    settings.DEFAULT_FROM_EMAIL = "The Shop <orders@shop.example>"  # type: ignore[attr-defined]
    assert send(client, key="abc-1").id == "abc-1@shop.example"


def test_a_repeat_is_the_same_message_and_shows_in_the_ledger(
    client: MailNotifications, sandbox: RunningSandbox, reference: str
) -> None:
    key = str(uuid4())
    first = send(client, key=key, reference=reference)
    assert send(client, key=key, reference=reference) == first
    effects = sandbox.ledger.effects(reference)
    assert [effect.key for effect in effects] == [key, key]
    assert [p.why for p in sandbox.ledger.audit() if p.second in effects] == ["same key"]


@pytest.mark.parametrize("key", ["", "two words", "a@b", "a>b", "x\r\nBcc: y", "ü"])
def test_a_key_that_no_message_id_can_hold_is_a_mistake_of_ours(
    client: MailNotifications, key: str
) -> None:
    with pytest.raises(ValueError, match="Message-ID"):
        send(client, key=key)


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": "x\r\nBcc: everyone@example.com"},
        {"reference": "x\ny"},
        {"to": "x\r\nRCPT TO:<y@example.com>"},
    ],
)
def test_a_header_cannot_be_smuggled_in(
    client: MailNotifications, sandbox: RunningSandbox, changed: dict[str, str]
) -> None:
    before = len(sandbox.ledger.effects())
    with pytest.raises(PartnerRefused, match="no message could be made"):
        send(client, **changed)
    assert len(sandbox.ledger.effects()) == before


def test_plain_smtp_cannot_say_whether_it_took_a_message(sandbox: RunningSandbox) -> None:
    host, port = sandbox.smtp
    client = MailNotifications(
        NotificationsSettings(
            smtp_host=host, smtp_port=port, smtp_security="none", smtp_log_url=None
        )
    )
    with pytest.raises(PartnerUnavailable, match="INTEGRATIONS_SMTP_LOG_URL"):
        client.find("k", timeout=5.0)


def test_where_no_server_listens_nothing_was_sent(sandbox: RunningSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PartnerUnavailable, match="no message was sent"):
        send(plain(port))


def test_a_server_that_never_greets_ends_with_the_call() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, pytest.raises(PartnerUnavailable, match="no message was sent"):
        send(plain(silent.getsockname()[1]), timeout=0.3)


def test_a_server_without_encryption_gets_no_message() -> None:
    def serve(peer: Peer, connection: socket.socket) -> None:
        for answer in (b"220 hello\r\n", b"250 hello\r\n"):
            connection.sendall(answer)
            peer.heard.append(connection.recv(1000))

    with serving(serve) as server:
        settings = NotificationsSettings(
            smtp_host="127.0.0.1", smtp_port=server.port, smtp_security="starttls"
        )
        with pytest.raises(PartnerUnavailable, match="SMTPNotSupportedError"):
            send(MailNotifications(settings))
    assert not any(word.startswith(b"mail") for word in server.heard)


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_message(
    sandbox: RunningSandbox,
) -> None:
    host, port = sandbox.smtp
    before = len(sandbox.ledger.effects())
    settings = NotificationsSettings(smtp_host=host, smtp_port=port, smtp_security="starttls")
    with pytest.raises(PartnerUnavailable, match="no message was sent"):
        send(MailNotifications(settings))
    assert len(sandbox.ledger.effects()) == before


def test_what_is_sent_carries_reference_and_text(
    client: MailNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    from integrations.notifications import smtp

    original = smtp._Bounded.data

    def data(self: smtp._Bounded, msg: bytes) -> tuple[int, bytes]:
        sent.append(msg)
        return original(self, msg)

    monkeypatch.setattr(smtp._Bounded, "data", data)
    send(client, subject="Grüße", body="It left today.")
    message = email.message_from_bytes(sent[0], policy=email.policy.default)
    assert message["Subject"] == "Grüße"
    assert message["X-Reference"] == "order:1"
    assert message["To"] == "customer@example.com"
    assert message.get_content().strip() == "It left today."


def test_the_answer_to_the_goodbye_does_not_matter(
    client: MailNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    import smtplib

    def broken(self: smtplib.SMTP) -> tuple[int, bytes]:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(smtplib.SMTP, "quit", broken)
    send(client)


def test_a_drop_while_the_message_is_answered_is_unknown(
    client: MailNotifications, sandbox: RunningSandbox, reference: str
) -> None:
    sandbox.add_fault("drop-after", service="messages", reference=reference, times=1)
    with pytest.raises(PartnerUnknown, match="SMTPServerDisconnected"):
        send(client, reference=reference)


def test_a_server_that_no_call_may_reach_is_not_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        settings = NotificationsSettings(
            smtp_host="localhost", smtp_port=server.getsockname()[1], smtp_security="none"
        )
        with pytest.raises(PartnerUnavailable, match=r"localhost is at .* no public address"):
            send(MailNotifications(settings))
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    client: MailNotifications,
    resolver: Resolver,
    set_egress: SetEgress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_egress(private_hosts="mail.example")
    resolver.book["mail.example"] = ["127.0.0.9", "127.0.0.1"]
    settings = NotificationsSettings().model_copy(update={"smtp_host": "mail.example"})
    # A listener whose queue is full lets no further connection through.
    with socket.socket() as full:
        full.bind(("127.0.0.9", settings.smtp_port))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        assert send(MailNotifications(settings), timeout=3.0)
        for one in waiting:
            one.close()


def test_over_tls_the_first_word_is_a_handshake_for_that_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = NotificationsSettings(
            smtp_host="127.0.0.1", smtp_port=server.getsockname()[1], smtp_security="tls"
        )
        heard: list[bytes] = []

        def listen() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(3))

        thread = threading.Thread(target=listen)
        thread.start()
        with pytest.raises(PartnerUnavailable, match="no message was sent"):
            send(MailNotifications(settings))
        thread.join()
    assert heard[0].startswith(b"\x16\x03")  # a TLS record of kind handshake


@pytest.mark.parametrize("host", ["mail.example", "mail.example."])
def test_a_mail_servers_certificate_is_that_of_its_name_without_the_dot(
    host: str,
    tmp_path: Path,
    resolver: Resolver,
    set_egress: SetEgress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_egress(private_hosts="mail.example")
    resolver.book[host] = ["127.0.0.1"]
    context, trusted = certified("mail.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with serving(answering_over_tls(context, b"250 hello\r\n", b"220 hello\r\n")) as server:
        settings = NotificationsSettings(smtp_host=host, smtp_port=server.port, smtp_security="tls")
        with pytest.raises(PartnerUnavailable, match="no message was sent"):
            send(MailNotifications(settings))
    assert server.heard[0].startswith(b"ehlo ")  # so it was believed


def test_after_starttls_the_mail_is_encrypted(
    tmp_path: Path, resolver: Resolver, set_egress: SetEgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_egress(private_hosts="mail.example")
    resolver.book["mail.example"] = ["127.0.0.1"]
    context, trusted = certified("mail.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    def serve(peer: Peer, connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        for answer in (b"250-hello\r\n250 STARTTLS\r\n", b"220 go on\r\n"):
            connection.recv(1000)
            connection.sendall(answer)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            for answer in (b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                peer.heard.append(encrypted.recv(1000))
                encrypted.sendall(answer)
            message = b""
            while not message.endswith(b"\r\n.\r\n"):
                message += encrypted.recv(65536)
            peer.heard.append(message)
            encrypted.sendall(b"250 taken\r\n")
            encrypted.recv(1000)

    with serving(serve) as server:
        settings = NotificationsSettings(
            smtp_host="mail.example", smtp_port=server.port, smtp_security="starttls"
        )
        assert send(MailNotifications(settings), body="It left today.")
    assert [word[:4] for word in server.heard[:4]] == [b"ehlo", b"mail", b"rcpt", b"data"]
    assert b"It left today." in server.heard[4]


def plain(port: int) -> MailNotifications:
    return MailNotifications(
        NotificationsSettings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
    )
