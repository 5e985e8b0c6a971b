"""Logins are throttled by name, address and browser, with Redis away too."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import F
from django.test import Client, RequestFactory
from pytest_django import Settings

from sagas.models import Attempts, AuditEntry
from sagas.operate import logins
from sagas.operate.logins import PER_ADDRESS, PER_NAME, count
from sagas.operate.throttle import AN_HOUR, Throttled
from tests.sagas.stage import at_once

pytestmark = pytest.mark.django_db
PAGE = "/admin/login/"
WRONG = "wrong"
WAIT = "Too many attempts to log in. Try again in 15 minutes"


@pytest.fixture(autouse=True)
def ann(settings: Settings) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a quick one
    return User.objects.create_user("ann", password="right", is_staff=True)


def tried(client: Client, password: str = WRONG, name: str = "ann") -> str:
    """What the page says; empty: one is in."""
    answer: Any = client.post(PAGE, {"username": name, "password": password})
    return "" if answer.status_code == 302 else answer.content.decode()


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def passed(seconds: float) -> None:
    Attempts.objects.update(since=F("since") - timedelta(seconds=seconds))


def test_a_name_is_tried_only_so_often_from_wherever(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("Redis is away")

    for method in ("get", "add", "incr", "set"):
        monkeypatch.setattr(cache, method, away)
    for number in range(PER_NAME):
        assert "correct username and password" in tried(at(f"192.0.2.{number}"), name=" ANN")
    said = tried(at("198.51.100.1"), password="right")
    assert WAIT in said, "the right password is not looked at either"


def test_an_address_tries_only_so_many_names() -> None:
    for number in range(PER_ADDRESS):
        assert WAIT not in tried(at("192.0.2.1"), name=f"user{number}")
    assert WAIT in tried(at("192.0.2.1"), name="another")
    assert WAIT not in tried(at("192.0.2.2"), name="another")


def test_all_addresses_of_a_network_of_ipv6_count_as_one() -> None:
    for number in range(PER_ADDRESS):
        tried(at(f"2001:db8::{number:x}"), name=f"user{number}")
    assert WAIT in tried(at("2001:db8::ffff"), name="another")
    assert WAIT not in tried(at("2001:db8:0:1::1"), name="another")


def test_what_is_refused_prolongs_nothing() -> None:
    for _ in range(PER_NAME):
        tried(at("192.0.2.1"))
    passed(logins.WINDOW - 60)
    assert "Try again in 1 minute," in tried(at("192.0.2.1"))
    for _ in range(3 * PER_NAME):
        tried(at("192.0.2.1"))
    passed(61)
    assert tried(at("192.0.2.1"), password="right") == ""


def test_who_has_logged_in_from_a_browser_is_not_kept_out_by_strangers() -> None:
    browser, office = at("192.0.2.1"), at("192.0.2.1")
    assert tried(browser, password="right") == ""
    browser.post("/admin/logout/")
    for number in range(PER_ADDRESS):
        tried(office, name="ann" if number < PER_NAME else f"user{number}")
    assert WAIT in tried(office, password="right")
    assert tried(browser, password="right") == ""
    other = at("192.0.2.1")
    other.cookies[logins.COOKIE] = browser.cookies[logins.COOKIE].value
    for _ in range(logins.PER_DEVICE):
        assert WAIT not in tried(other, name="ann")
    assert WAIT in tried(other), "a stolen cookie tries no more than others"


def test_a_cookie_of_somebody_else_or_a_forged_one_helps_nobody() -> None:
    User.objects.create_user("eve", password="right", is_staff=True)
    eve = at("192.0.2.9")
    assert tried(eve, name="eve", password="right") == ""
    eve.post("/admin/logout/")
    for _ in range(PER_NAME):
        tried(eve)
    assert WAIT in tried(eve)
    eve.cookies[logins.COOKIE] = "forged"
    assert WAIT in tried(eve)


def test_who_logs_in_often_is_not_counted() -> None:
    for _ in range(PER_NAME + 1):
        assert tried(at("192.0.2.1"), password="right") == ""


def test_what_was_typed_is_not_kept() -> None:
    tried(at("192.0.2.1"), name="hunter2")
    assert all(len(key) == 64 for key in Attempts.objects.values_list("key", flat=True))


def test_old_counts_are_removed() -> None:
    tried(at("192.0.2.1"))
    passed(AN_HOUR + 1)
    tried(at("192.0.2.2"), name="another")
    assert Attempts.objects.count() == 2


@pytest.mark.usefixtures("people_audited")
def test_that_a_name_is_throttled_is_in_the_audit_once() -> None:
    for _ in range(PER_NAME + 3):
        tried(at("192.0.2.1"))
    logins = AuditEntry.objects.filter(verb__startswith="login").order_by("number")
    verbs = list(logins.values_list("actor", "verb"))
    assert verbs == [("ann", "login failed")] * PER_NAME + [("ann", "logins throttled")]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_try_at_once_no_more_pass_than_may() -> None:
    request = RequestFactory().post(PAGE, REMOTE_ADDR="192.0.2.1")
    outcomes = at_once(*[partial(count, request, "ann")] * (PER_NAME + 5))
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 5


def test_refused_tokens_are_throttled_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "PER_TOKENS", 3)
    bad = {"Authorization": "Bearer none"}
    statuses = [
        Client(REMOTE_ADDR="192.0.2.1", headers=bad).get("/api/runs").status_code for _ in range(5)
    ]
    assert statuses == [401, 401, 401, 429, 429]
    answer = Client(REMOTE_ADDR="192.0.2.1", headers=bad).get("/api/runs")
    assert 0 < int(answer["Retry-After"]) <= logins.WINDOW
    assert Client(REMOTE_ADDR="192.0.2.2", headers=bad).get("/api/runs").status_code == 401
