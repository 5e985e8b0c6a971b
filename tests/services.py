"""Services beside the engines that some tests use: their absence is said; in CI it fails."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import pytest

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Service:
    """A service on this machine's loopback."""

    name: str
    port: int

    def answers(self) -> bool:
        """Whether something accepts a connection there."""
        try:
            socket.create_connection((HOST, self.port), timeout=2).close()
        except OSError:
            return False
        return True


RABBITMQ = Service("RabbitMQ", 5672)
NATS = Service("NATS", 4222)
ALL = (RABBITMQ, NATS)


def required(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a service that is absent fails the tests that need it, instead of skipping them."""
    return bool(environment.get("CI"))


def give_up(reason: str) -> NoReturn:
    """End a test that lacks a service: skipped, or failed where services are required."""
    if required():
        pytest.fail(f"{reason}; it is required, since CI is set")
    pytest.skip(reason)


def header() -> Iterator[str]:
    """For the head of a test report: which services answer, and what their absence means."""
    for service in ALL:
        place = f"{service.name} on {HOST}:{service.port}"
        if service.answers():
            yield f"{place}: answers"
        else:
            yield f"{place}: ABSENT, what needs it is {'FAILED' if required() else 'SKIPPED'}"


def absent() -> list[str]:
    """The names of services that do not answer though they are required."""
    return [service.name for service in ALL if required() and not service.answers()]
