"""How often strangers may come in by a door, and whose request it is."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import F
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from sagas.models import Attempts
from sagas.operate.throttle import AN_HOUR, Door, Throttled, client_address, networks
from tests.sagas.stage import at_once

pytestmark = pytest.mark.django_db
DOOR = Door("sign-ups", per_address=3, in_all=6, mails=2)


def of(address: str, **headers: str) -> HttpRequest:
    return RequestFactory().post("/", REMOTE_ADDR=address, **headers)  # type: ignore[arg-type]


def refused(door: Door, address: str, mail: str = "") -> str:
    """What a caller is told; empty: they come in."""
    try:
        door.enter(of(address), mail)
    except Throttled as refusal:
        return str(refusal)
    return ""


def passed(seconds: float) -> None:
    Attempts.objects.update(since=F("since") - timedelta(seconds=seconds))


def test_an_address_comes_in_only_so_often() -> None:
    assert [refused(DOOR, "192.0.2.1") for _ in range(3)] == [""] * 3
    assert refused(DOOR, "192.0.2.1") == (
        "Too many sign-ups from your address. Try again in 15 minutes."
    )
    assert not refused(DOOR, "192.0.2.2")
    passed(15 * 60 + 1)
    assert not refused(DOOR, "192.0.2.1")


def test_all_addresses_together_come_in_only_so_often() -> None:
    assert [refused(DOOR, f"192.0.2.{number}") for number in range(6)] == [""] * 6
    assert refused(DOOR, "192.0.2.9") == "Too many sign-ups at present. Try again in 1 minute."
    passed(61)
    assert not refused(DOOR, "192.0.2.9")


def test_who_is_refused_takes_no_place_from_others() -> None:
    for _ in range(20):
        refused(DOOR, "192.0.2.1")
    assert not refused(DOOR, "192.0.2.2")


def test_each_door_counts_by_itself() -> None:
    for _ in range(4):
        refused(DOOR, "192.0.2.1")
    assert not refused(Door("offers", per_address=3), "192.0.2.1")


def test_a_person_is_mailed_only_so_often_whatever_the_door_and_the_spelling() -> None:
    offers = Door("offers", per_address=99, mails=2)
    assert not refused(DOOR, "192.0.2.1", "ann@example.com")
    assert not refused(offers, "192.0.2.2", "Ann+news@Example.com")
    said = refused(offers, "192.0.2.3", " ann@example.com")
    assert said == "Too many requests for this e-mail address. Try again in 60 minutes."
    assert not refused(offers, "192.0.2.3", "bob@example.com")
    passed(AN_HOUR + 1)
    assert not refused(offers, "192.0.2.3", "ann@example.com")


def test_what_is_over_is_removed_by_who_looks_and_not_where_it_is_counted() -> None:
    refused(DOOR, "192.0.2.1")
    passed(AN_HOUR + 1)
    before = set(Attempts.objects.values_list("key", flat=True))
    DOOR.enter(of("192.0.2.2"))
    assert before <= set(Attempts.objects.values_list("key", flat=True))
    passed(AN_HOUR + 1)
    DOOR.look(of("192.0.2.3"))
    assert not Attempts.objects.exists()


def test_who_looks_is_not_counted_and_told_as_who_comes_in() -> None:
    for _ in range(20):
        DOOR.look(of("192.0.2.1"))
    for _ in range(3):
        DOOR.enter(of("192.0.2.1"))
    with pytest.raises(Throttled, match="Too many sign-ups from your address"):
        DOOR.look(of("192.0.2.1"))
    DOOR.look(of("192.0.2.2"))


def test_no_address_is_kept_as_it_is() -> None:
    refused(DOOR, "192.0.2.1", "ann@example.com")
    assert all(len(key) == 64 for key in Attempts.objects.values_list("key", flat=True))
    assert Attempts.objects.count() == 3


def test_doors_hold_with_redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("Redis is away")

    for method in ("get", "add", "incr", "set"):
        monkeypatch.setattr(cache, method, away)
    assert [bool(refused(DOOR, "192.0.2.1")) for _ in range(4)] == [False, False, False, True]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("limit", ["per_address", "in_all", "mails"])
def test_of_many_who_come_at_once_no_more_come_in_than_may(limit: str) -> None:
    door = Door("sign-ups", **{"per_address": 99, limit: 3})
    outcomes = at_once(*[partial(door.enter, of("192.0.2.1"), "ann@example.com")] * 8)
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 5


@pytest.mark.django_db(transaction=True)
def test_of_two_transactions_the_second_counts_what_the_first_has_counted() -> None:
    door = Door("sign-ups", per_address=1)

    def slowly() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            door.enter(of("192.0.2.1"))
            cursor.execute("SELECT pg_sleep(0.3)")

    outcomes = at_once(slowly, slowly)
    assert sorted(isinstance(outcome, Throttled) for outcome in outcomes) == [False, True]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first one is the client's own
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "203.0.113.9", "192.0.2.1"),  # it came past one of them
        (1, "", "192.0.2.1"),
        (1, "unknown", "192.0.2.1"),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_only_what_our_own_proxies_say_of_the_address_is_believed(
    settings: Settings, proxies: int, forwarded: str, address: str
) -> None:
    settings.SAGAS = {"TRUSTED_PROXIES": proxies}
    assert client_address(of("192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded)) == address


def test_without_an_address_nothing_is_counted_by_it() -> None:
    assert networks(of("")) == []
    assert [refused(Door("sign-ups", per_address=1), "") for _ in range(3)] == [""] * 3
