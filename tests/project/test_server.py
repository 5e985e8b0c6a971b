"""The site's server keeps no thread waiting for a client, whatever the client does."""

from __future__ import annotations

import json
import random
import re
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import server
from project.server import Arrival, Chunks
from project.world import GUNICORN
from tests.project.echo import LARGE
from tests.project.processes import ROOT, script, until
from tests.project.test_redis_users import free_port

MANY = 40
#: Gunicorn itself, with constants of ours set to what a test can wait for.
WITH = """
import sys
from project import server
for name, value in {constants!r}.items():
    assert hasattr(server, name)
    setattr(server, name, value)
from gunicorn.app.wsgiapp import run
sys.argv = ["gunicorn", *{options!r}]
run()
"""
OPTIONS = [option for option in GUNICORN if option.startswith("--")]
Site = tuple[str, int]


@contextmanager
def served(**constants: float) -> Iterator[Site]:
    """The echo, served as `make run` serves the site, but by two threads."""
    port = free_port()
    options = [
        *OPTIONS,
        "--threads=2",
        "--keep-alive=60",
        f"--bind=127.0.0.1:{port}",
        "tests.project.echo",
    ]
    process = subprocess.Popen(script(WITH.format(constants=constants, options=options)), cwd=ROOT)
    site = ("127.0.0.1", port)
    try:
        until(lambda: listens(site), "it listens")
        yield site
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def patient() -> Iterator[Site]:
    """With a deadline that no test reaches."""
    with served(SECONDS=600) as site:
        yield site


def listens(site: Site) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(site) == 0


def connected(site: Site, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(site, timeout=60)
    client.sendall(sent)
    return client


def answers_on(client: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Its answers, one after the other; the connection stays open."""
    with client.makefile("rb") as stream:
        while status := stream.readline().split():
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, value = line.split(b":", 1)
                length = int(value) if name.lower() == b"content-length" else length
            yield int(status[1]), stream.read(length)


def answer_on(client: socket.socket) -> tuple[int, bytes]:
    """The only answer that is awaited."""
    return next(answers_on(client))


def asked(site: Site, sent: bytes) -> tuple[int, Any]:
    with connected(site, sent) as client:
        status, body = answer_on(client)
        return status, json.loads(body)


def simple(path: str = "/", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode()


def silent(client: socket.socket) -> bool:
    """Whether nothing was answered, and the connection is open."""
    return not readable(client)


def readable(client: socket.socket, seconds: float = 0) -> bool:
    """Whether there is something to receive, now or within so many seconds."""
    with selectors.PollSelector() as selector:  # select() takes no number beyond 1023
        selector.register(client, selectors.EVENT_READ)
        return bool(selector.select(seconds))


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
SLOW = {
    "body": POST + b"Content-Length: 100\r\n\r\nx",
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n64\r\nx",
    "chunk's size": POST + b"Transfer-Encoding: chunked\r\n\r\n6",
    "trailers": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b",
    "headers": POST + b"X-Slow: x",
    "first line": b"PO",
    "nothing": b"",
    "unread": b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx",
}


@pytest.mark.parametrize("kind", SLOW)
def test_others_are_answered_while_many_are_slow(patient: Site, kind: str) -> None:
    slow = [connected(patient, SLOW[kind]) for _ in range(MANY)]
    try:
        for _ in range(5):
            assert asked(patient, simple("/healthz"))[0] == 200
            for client in slow:
                if SLOW[kind]:
                    client.sendall(b"0" if kind == "chunk's size" else b"x")
        assert all(map(silent, slow)), "some were not slow at all"
    finally:
        for client in slow:
            client.close()


@pytest.mark.parametrize("kind", SLOW)
def test_who_is_slow_is_cut_off_by_one_deadline_however_often_a_byte_comes(kind: str) -> None:
    with served(SECONDS=2) as site, connected(site, SLOW[kind]) as slow:
        while silent(slow):
            if SLOW[kind]:
                slow.sendall(b"0" if kind == "chunk's size" else b"x")
            readable(slow, 0.1)
        if not SLOW[kind]:
            assert slow.recv(1) == b""
            return
        status, body = answer_on(slow)
        assert (status, json.loads(body)["status"]) == (408, 408)


def test_who_reads_no_answer_keeps_no_thread(patient: Site) -> None:
    deaf = []
    try:
        for _ in range(10):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(patient)
            client.sendall(simple("/large"))
            deaf.append(client)
        assert asked(patient, simple())[0] == 200
        deaf[0].settimeout(60)
        status, body = answer_on(deaf[0])
        assert (status, len(body)) == (200, LARGE), "it comes as a whole, late as it is read"
    finally:
        for client in deaf:
            client.close()


def test_who_does_not_close_holds_up_nobody(patient: Site) -> None:
    """Gunicorn's own loop waits two seconds for each of them to close."""
    idle = [connected(patient, simple(more="Connection: close\r\n")) for _ in range(10)]
    try:
        for client in idle:
            assert answer_on(client)[0] == 200
            with connected(patient, simple()) as other:
                assert answer_on(other)[0] == 200
                assert silent(client) or client.recv(1) == b""
    finally:
        for client in idle:
            client.close()


def test_the_slowest_makes_way_for_others() -> None:
    with served(SECONDS=600, MOST_WAITED_FOR=5) as site:
        slow = [connected(site, SLOW["body"]) for _ in range(5)]
        try:
            assert asked(site, simple())[0] == 200
            assert slow[0].recv(1) == b""
            assert all(map(silent, slow[1:]))
        finally:
            for client in slow:
                client.close()


def test_connections_that_stay_open_never_take_all_places() -> None:
    with served(SECONDS=600, MOST_KEPT_ALIVE=2) as site:
        kept = [connected(site) for _ in range(10)]
        try:
            told = []
            for client in kept:
                client.sendall(simple())
                told.append(b"Connection: close" in client.recv(1000))
            assert told.count(False) <= 4  # the loop may learn of one only after the next has come
        finally:
            for client in kept:
                client.close()


def test_the_memory_of_all_together_is_limited() -> None:
    with served(SECONDS=600, MOST_HELD=1_000_000) as site:
        large = POST + b"Content-Length: 600000\r\n\r\n" + b"x" * 500_000
        with connected(site, large) as first, connected(site, large) as second:
            assert first.recv(1) == b""
            second.sendall(b"x" * 100_000)
            assert answer_on(second)[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Length: 9999999999\r\n\r\n", 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFF\r\n" + b"x" * 5_000_000, 413),
        (POST + b"X: " + b"x" * 70_000, 431),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (POST + b"Content-Length : 5\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_or_too_large_is_refused_at_once(
    patient: Site, sent: bytes, status: int
) -> None:
    with connected(patient, sent) as client:
        assert answer_on(client)[0] == status


def test_a_body_that_breaks_off_reaches_the_site_as_it_is(patient: Site) -> None:
    with connected(patient, POST + b"Content-Length: 100\r\n\r\nabc") as client:
        client.shutdown(socket.SHUT_WR)
        status, body = answer_on(client)
        assert (status, json.loads(body)) == (200, ["POST", "/", "abc"])


def test_a_sender_that_waits_to_be_asked_for_its_body_is_asked_once(patient: Site) -> None:
    with connected(patient, POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n") as client:
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert client.recv(12) == b"HTTP/1.1 200"


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = [
    (simple("/one"), ["GET", "/one", ""]),
    (POST + b"Content-Length: 3\r\n\r\nabc", ["POST", "/", "abc"]),
    (POST + b"Content-Length: 0\r\n\r\n", ["POST", "/", ""]),
    (CHUNKED + b"0\r\n\r\n", ["POST", "/", ""]),
    (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", ["POST", "/", "abc"]),
    (CHUNKED + b'4;a="b"\r\n\r\n\r\n\r\n1\r\nx\r\n00\r\n\r\n', ["POST", "/", "\r\n\r\nx"]),
    (
        CHUNKED + b"A\r\n0123456789\r\n0\r\nX-Sum: x\r\nAnother: y\r\n\r\n",
        ["POST", "/", "0123456789"],
    ),
]


def test_requests_are_the_same_however_they_come_in_pieces(patient: Site, drawn_seed: int) -> None:
    chance = random.Random(drawn_seed)
    for _ in range(30):
        expected = chance.choices(WHOLE, k=chance.randint(1, 6))
        stream = b"".join(sent for sent, _ in expected)
        with connected(patient) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while stream:
                size = chance.choice((1, 2, 7, 50, 1000))
                client.sendall(stream[:size])
                stream = stream[size:]
            for (_, told), (status, body) in zip(expected, answers_on(client), strict=False):
                assert (status, json.loads(body)) == (200, told)


@pytest.mark.parametrize("sent", [sent for sent, _ in WHOLE if b"chunked" in sent])
def test_the_end_of_chunks_is_found_at_their_last_byte(sent: bytes) -> None:
    start = len(CHUNKED)
    chunks = Chunks(start)
    found = [chunks.end(bytearray(sent[:size])) for size in range(start, len(sent) + 1)]
    assert found == [False] * (len(found) - 1) + [True]


@pytest.mark.parametrize("size", ["", "g", "-1", "1x", "0x1", "F" * 16])
def test_what_is_no_chunk_is_left_to_gunicorn(size: str) -> None:
    assert Chunks(0).end(bytearray(f"{size}\r\n".encode()))


def test_a_long_line_is_not_looked_through_anew_for_each_byte() -> None:
    class Counted(bytearray):
        looked = 0

        def find(self, what: Any, start: Any = 0, *end: Any) -> int:
            self.looked += len(self) - start
            return super().find(what, start, *end)

    for begin, arrival in ((b"", Chunks(0).end), (b"0\r\nA: ", Chunks(0).end)):
        data = Counted(begin)
        for _ in range(10_000):
            data += b"x"
            assert not arrival(data)
        assert data.looked < 50_000


def test_the_head_is_asked_of_gunicorn_only_where_there_may_be_a_body() -> None:
    def read_head(head: bytes) -> Any:
        raise AssertionError("nobody needs it")

    assert Arrival(read_head).add(simple())
    with pytest.raises(server.TooLarge):
        Arrival(read_head).add(b"x" * (server.LARGEST_HEAD + 1))


def test_every_way_to_start_the_site_names_this_server() -> None:
    image = json.loads(
        re.findall(r"^CMD (\[.*\])", (ROOT / "Dockerfile").read_text().replace("\\\n", ""), re.M)[0]
    )
    named = "--worker-class=project.server.Worker"
    assert named in image
    assert named in GUNICORN
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert "command" not in services["web"], "it would start another server than the image's"
    started = [
        path
        for path in (ROOT / "project").rglob("*.py")
        if '"gunicorn", "project.wsgi"' in path.read_text()
    ]
    assert [path.relative_to(ROOT) for path in started] == [Path("project/world.py")]
    assert sys.executable in GUNICORN
