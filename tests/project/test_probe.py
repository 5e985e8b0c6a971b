import http.server
import threading
from collections.abc import Iterator

import pytest

from project.probe import answers


class Site(http.server.BaseHTTPRequestHandler):
    """Knows one host, as Django does."""

    def do_GET(self) -> None:
        known = self.headers["Host"] == "shop.example.com"
        self.send_response(200 if known else 400)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/readyz"
        server.shutdown()


@pytest.mark.parametrize("hosts", ["shop.example.com", ".shop.example.com, other.example.com"])
def test_the_site_is_asked_for_a_host_it_serves(site: str, hosts: str) -> None:
    assert answers(site, {"ALLOWED_HOSTS": hosts})


@pytest.mark.parametrize("hosts", ["", "*", "other.example.com"])
def test_a_refusal_is_no_success(site: str, hosts: str) -> None:
    assert not answers(site, {"ALLOWED_HOSTS": hosts})


def test_silence_is_no_success() -> None:
    assert not answers("http://127.0.0.1:1/readyz", {})
