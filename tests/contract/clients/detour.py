"""Leads requests of clients that know only their vendor's address to the sandbox."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter


class Detour(HTTPAdapter):
    """Sends what is meant for `host`, or by https for the sandbox, to the sandbox."""

    def __init__(self, address: str, host: str) -> None:
        super().__init__()
        self._netloc = urlsplit(address).netloc
        self._known = {host, self._netloc}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        url = urlsplit(str(request.url))
        assert url.netloc in self._known, f"asked at {url.netloc}"
        request.url = url._replace(scheme="http", netloc=self._netloc).geturl()
        return super().send(request, stream, timeout, verify, cert, proxies)
