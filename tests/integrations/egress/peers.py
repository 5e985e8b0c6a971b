"""Servers on loopback that do not do what a client waits for, and one that speaks TLS."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integrations.egress.resolver import PATIENCE

#: Public, so that it may be called; nothing of these tests leaves this machine.
PUBLIC = "93.184.216.34"


@dataclass
class Peer:
    """A server that is silent at some point, until the test is over."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    waited_for: bool = False

    def silence(self) -> None:
        """Return when the test is over."""
        self.waited_for |= not self.over.wait(PATIENCE)


Serve = Callable[[Peer, socket.socket], None]


@contextmanager
def serving(serve: Serve, host: str = "127.0.0.1") -> Iterator[Peer]:
    """A server that serves each connection in a thread, and closes it afterwards."""
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(peer, connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    with socket.create_server((host, 0)) as server:
        peer = Peer(int(server.getsockname()[1]))
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield peer
        peer.over.set()
        server.shutdown(socket.SHUT_RDWR)
        for thread in (acceptor, *threads):
            thread.join()
    assert not peer.waited_for, "somebody waited for the end of the silence"


def silent(*words: bytes) -> Serve:
    """What serves by saying these words, each once something was heard, and then nothing."""

    def serve(peer: Peer, connection: socket.socket) -> None:
        for word in words:
            peer.heard.append(connection.recv(65536))
            connection.sendall(word)
        peer.silence()

    return serve


def dripping(byte: bytes) -> Serve:
    """What serves by saying a little again and again, without end."""

    def serve(peer: Peer, connection: socket.socket) -> None:
        for _ in range(int(PATIENCE / 0.02)):
            if peer.over.wait(0.02):
                return
            connection.sendall(byte)
        peer.waited_for = True

    return serve


@contextmanager
def full(host: str = "127.0.0.1") -> Iterator[int]:
    """The port of a listener whose queue is full: it lets no further connection through."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
        for one in waiting:
            one.close()


def passing(to: int, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> Serve:
    """What serves as a proxy: it answers, and passes on to a port of this machine."""

    def serve(peer: Peer, connection: socket.socket) -> None:
        peer.heard.append(connection.recv(65536))
        with socket.create_connection(("127.0.0.1", to)) as target:
            connection.sendall(answer)
            back = threading.Thread(target=_pump, args=(target, connection))
            back.start()
            _pump(connection, target)
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)
            back.join()

    return serve


def _pump(source: socket.socket, drain: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            drain.sendall(data)
        drain.shutdown(socket.SHUT_WR)


def answering_over_tls(context: ssl.SSLContext, answer: bytes, greeting: bytes = b"") -> Serve:
    """What serves an answer over TLS, after a greeting if there is one."""

    def serve(peer: Peer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.sendall(greeting)
            peer.heard.append(encrypted.recv(65536))
            encrypted.sendall(answer)

    return serve


def certified(host: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate for `host`, and the file that makes it trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, secret = folder / "certificate.pem", folder / "key.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, secret)
    return context, trusted
