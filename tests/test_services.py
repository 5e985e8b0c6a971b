"""Services that tests use beside the engines: absent ones are said, and required in CI."""

from __future__ import annotations

import socket

import pytest

from tests import services
from tests.services import Service


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service at a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((services.HOST, 0))
        port = probe.getsockname()[1]
    service = Service("Nobody", port)
    monkeypatch.setattr(services, "ALL", (service,))
    return service


def test_an_absent_service_is_said_at_the_head_of_the_report(
    silent: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert list(services.header()) == [
        f"Nobody on 127.0.0.1:{silent.port}: ABSENT, what needs it is SKIPPED"
    ]
    assert services.absent() == []
    with pytest.raises(pytest.skip.Exception):
        services.give_up("nobody answers")


def test_in_ci_an_absent_service_fails(silent: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert services.absent() == [silent.name]
    with pytest.raises(pytest.fail.Exception, match="required, since CI is set"):
        services.give_up("nobody answers")


def test_a_service_that_accepts_connections_answers() -> None:
    with socket.create_server((services.HOST, 0)) as server:
        assert Service("Somebody", server.getsockname()[1]).answers()
