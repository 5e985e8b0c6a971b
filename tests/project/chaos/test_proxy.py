"""Doors that can be shut, tried on a real server that echoes."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from project.chaos.proxy import Edge, Fault, Proxy


class Echo(socketserver.BaseRequestHandler):
    heard: list[bytes]

    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.server.heard.append(data)  # type: ignore[attr-defined]
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Echo)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


@pytest.fixture
def edge(proxy: Proxy, server: Server) -> Edge:
    return proxy.open("a-b", ("127.0.0.1", server.server_address[1]))


def connected(edge: Edge) -> socket.socket:
    return socket.create_connection(("127.0.0.1", edge.port), timeout=1)


def said(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(1024)


def broken(client: socket.socket) -> bool:
    """Whether the connection was reset or ended."""
    try:
        return client.recv(1024) == b""
    except ConnectionError:
        return True


def test_an_open_door_passes_everything(edge: Edge) -> None:
    with connected(edge) as client:
        assert said(client, b"hello") == b"hello"


def test_a_cut_edge_resets_what_there_is_and_refuses_what_comes(proxy: Proxy, edge: Edge) -> None:
    with connected(edge) as client:
        assert said(client, b"hello") == b"hello"
        proxy.set(edge, Fault.CUT)
        assert broken(client)
    with connected(edge) as client:
        assert broken(client)
    proxy.set(edge, Fault.NONE)
    with connected(edge) as client:
        assert said(client, b"again") == b"again"


def test_a_stalled_edge_passes_nothing_and_what_was_said_is_lost(
    proxy: Proxy, edge: Edge, server: Server
) -> None:
    proxy.set(edge, Fault.STALLED)
    with connected(edge) as client:
        client.sendall(b"lost")
        with pytest.raises(TimeoutError):
            client.recv(1024)
        proxy.set(edge, Fault.NONE)
        assert broken(client)
    assert server.heard == []


def test_through_a_deaf_edge_the_server_hears_and_nobody_hears_it(
    proxy: Proxy, edge: Edge, server: Server
) -> None:
    proxy.set(edge, Fault.DEAF)
    with connected(edge) as client:
        client.sendall(b"heard")
        with pytest.raises(TimeoutError):
            client.recv(1024)
    assert server.heard == [b"heard"]


def test_a_lost_reply_is_one_that_the_server_gave(proxy: Proxy, edge: Edge, server: Server) -> None:
    with connected(edge) as client:
        proxy.lose_reply(edge)
        client.sendall(b"commit")
        assert broken(client)
    assert (server.heard, edge.lost_replies) == ([b"commit"], 1)
    with connected(edge) as client:
        assert said(client, b"next") == b"next"


def test_a_server_that_is_away_is_no_connection(proxy: Proxy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        edge = proxy.open("a-c", ("127.0.0.1", taken.getsockname()[1]))
        with connected(edge) as client:
            assert broken(client)
