from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from sagas.define import registry
from sagas.models import Hold, Run, Step, uuid7
from sagas.operate.moments import least_id
from tests.sagas.admin.people import scoped
from tests.sagas.admin.records import PAGES, run
from tests.sagas.flows import flow, simple


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def page(viewer: Client, **query: str) -> Any:
    return viewer.get(f"{PAGES['run']}?{urlencode(query)}")


def found(viewer: Client, **query: str) -> list[str]:
    return [r.business_key for r in page(viewer, **query).context["cl"].result_list]


def parked(key: str, **values: Any) -> Run:
    return run(key, **{"status": "needs_attention", "attention": "why", **values})


def aged(key: str, age: timedelta) -> Run:
    """A run that was started so long ago."""
    then = timezone.now() - age
    made = run(key, id=_redrawn(least_id(then)))
    Run.objects.filter(pk=made.pk).update(created_at=then)
    return made


def _redrawn(least: Any) -> Any:
    return type(least)(int=least.int | (uuid7().int & ((1 << 80) - 1)))


def test_runs_are_narrowed_by_saga_and_state(viewer: Client) -> None:
    for name in ("flow", "other"):
        registry.register(flow(["a"], name=name))
        run(name, saga=name)
    parked("parked", saga="other")
    assert found(viewer, saga="other") == ["parked", "other"]
    assert found(viewer, saga="other", status="needs_attention") == ["parked"]
    assert found(viewer, saga="other", status__exact="needs_attention") == ["parked"]


def test_a_saga_whose_code_is_gone_is_found_by_its_name_and_the_page_says_so(
    viewer: Client,
) -> None:
    run("old", saga="gone")
    assert found(viewer, saga="gone") == ["old"]
    assert "no saga in the code that is named &#x27;gone&#x27;" in html(page(viewer, saga="gone"))


def html(response: Any) -> str:
    return str(response.content.decode())


def test_unfinished_are_all_runs_that_are_not_over(viewer: Client) -> None:
    run("over", status="succeeded", finished_at=timezone.now())
    run("going")
    parked("parked")
    assert found(viewer, status="unfinished") == ["parked", "going"]


def test_held_are_runs_that_a_hold_covers(viewer: Client) -> None:
    covered, _ = run("covered"), run("free")
    Hold.objects.create(kind="run", target=str(covered.pk), reason="why", placed_by="ann")
    assert found(viewer, status="held") == ["covered"]


def test_stuck_are_runs_that_nothing_has_moved(viewer: Client) -> None:
    run("late", wake_at=timezone.now() - timedelta(hours=1))
    run("soon", wake_at=timezone.now())
    assert found(viewer, status="stuck") == ["late"]


def test_runs_are_found_by_the_step_that_they_stand_at(viewer: Client) -> None:
    for key, status, state in (
        ("waits", "running", "waiting"),
        ("stopped", "needs_attention", "failed"),
        ("passed", "running", "succeeded"),
        ("optional", "running", "failed"),
    ):
        made = run(key, status=status, attention="why" if status == "needs_attention" else "")
        Step.objects.filter(run=made, name="charge").update(status=state)
    over = run("over", status="succeeded", finished_at=timezone.now())
    Step.objects.filter(run=over, name="charge").update(status="ready")
    assert found(viewer, step="charge") == ["stopped", "waits"]


def test_an_error_group_is_matched_whole_whatever_it_holds(viewer: Client) -> None:
    odd = "charge: <b>\u202e #'\" & 100 %"
    parked("odd", error_group=odd)
    parked("plain", error_group="charge")
    assert found(viewer, error_group=odd) == ["odd"]


def test_the_error_groups_of_runs_that_need_a_person_are_offered_with_their_counts(
    viewer: Client,
) -> None:
    for key in "ab":
        parked(key, error_group="charge: refused")
    run("over", status="compensated", finished_at=timezone.now(), error_group="other: over")
    shown = html(page(viewer))
    assert ">charge: refused (2)</option>" in shown
    assert "other: over (" not in shown


@pytest.mark.parametrize(("age", "keys"), [("5m", 3), ("1h", 2), ("1d", 1), ("7d", 0)])
def test_runs_older_than_an_age_are_found(viewer: Client, age: str, keys: int) -> None:
    for key, minutes in (("day", 1500), ("hour", 100), ("minutes", 7), ("new", 1)):
        aged(key, timedelta(minutes=minutes))
    oldest_first = ["day", "hour", "minutes"][:keys]
    assert found(viewer, age=age) == oldest_first[::-1]


def test_an_age_goes_by_the_databases_clock_though_ids_are_an_hour_off(viewer: Client) -> None:
    made = run("skewed", id=_redrawn(least_id(timezone.now() + timedelta(minutes=50))))
    Run.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(minutes=6))
    assert found(viewer, age="5m") == ["skewed"]


def test_a_day_counts_from_its_start_to_its_end(viewer: Client) -> None:
    for key, hour in (("before", -1), ("first", 0), ("last", 23), ("after", 24)):
        then = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=hour, minutes=30)
        made = run(key, id=_redrawn(least_id(then)))
        Run.objects.filter(pk=made.pk).update(created_at=then)
    assert found(viewer, since="2026-01-02") == ["after", "last", "first"]
    assert found(viewer, until="2026-01-02") == ["last", "first", "before"]
    assert found(viewer, since="2026-01-02", until="2026-01-02") == ["last", "first"]
    assert found(viewer, since="2026-01-02T23:00") == ["after", "last"]
    assert found(viewer, since="2026-01-02T23:00+01:00", until="2026-01-02") == ["last"]


def test_runs_are_found_by_a_tag_in_its_field_or_in_the_search(viewer: Client) -> None:
    run("tagged", tags=["vip", "eu"])
    run("plain", tags=["vi"])
    assert found(viewer, tag="vip") == ["tagged"]
    assert found(viewer, q="tag:vip") == ["tagged"]
    assert found(viewer, tag="vip", q="tag:eu") == ["tagged"]


def test_runs_are_mine_nobodys_or_somebodys(viewer: Client) -> None:
    for key, owner in (("mine", "viewer"), ("free", ""), ("anns", "ann")):
        run(key, owner=owner)
    assert found(viewer, owner="@me") == ["mine"]
    assert found(viewer, owner="@nobody") == ["free"]
    assert found(viewer, owner="ann") == ["anns"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"status": "broken"}, "There is no state &#x27;broken&#x27;"),
        ({"age": "1y"}, "There is no age &#x27;1y&#x27;"),
        ({"since": "yesterday"}, "is no date since"),
        ({"until": "2026-02-31"}, "is no date until"),
        ({"since": "0001-01-01"}, "is no date since"),
        ({"until": "9999-12-31"}, "is no date until"),
        ({"owner": "a\0b"}, "That is no owner."),
        ({"tag": "x" * 5000}, "That is no tag."),
        ({"colour": "red"}, "There is no filter &#x27;colour&#x27;."),
        ({"payload__contains": "x"}, "There is no filter &#x27;payload__contains&#x27;."),
        ({"steps__result__regex": "("}, "There is no filter &#x27;steps__result__regex&#x27;."),
    ],
)
def test_what_means_nothing_matches_nothing_and_is_named(
    viewer: Client, query: dict[str, str], says: str
) -> None:
    run()
    answer = page(viewer, **query)
    assert answer.status_code == 200
    assert list(answer.context["cl"].result_list) == []
    assert list(answer.context["cl"].queryset) == []  # what acts on all that match goes by this
    assert says in html(answer)


_HOSTILE = [
    *("\0", "'\"<script>alert(1)</script>", "%27%22", "\u202e\u2066", "-1", "1e999", "{}", "[]"),
    *("x" * 4000, "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "@", "%", "_"),
]
_PARAMETERS = (
    *("status", "saga", "error_group", "step", "owner", "tag", "age", "since", "until", "q"),
    *("p", "o", "all", "_facets", "e", "format", "nonsense", "id", "id__in"),
)


@pytest.mark.parametrize("name", _PARAMETERS)
def test_no_hostile_value_breaks_the_list(viewer: Client, name: str) -> None:
    run()
    for value in _HOSTILE:
        answer = page(viewer, **{name: value})
        assert answer.status_code in (200, 302), value
        assert b"<script>alert" not in answer.content


def test_only_sagas_of_ones_scope_are_seen_and_offered(client: Client, db: None) -> None:
    for name in ("flow", "other"):
        registry.register(flow([simple(f"step-of-{name}")], name=name))
        parked(name, saga=name, error_group=f"group of {name}")
    client.force_login(scoped("clerk", "flow"))
    shown = html(page(client))
    assert found(client) == ["flow"]
    assert found(client, saga="other") == []
    assert "step-of-flow" in shown
    assert "group of flow" in shown
    for hidden in ("step-of-other", "group of other", '"other"'):
        assert hidden not in shown


def test_the_filter_survives_in_links_and_each_part_can_be_removed(viewer: Client) -> None:
    parked("it", error_group="a & b")
    shown = html(page(viewer, error_group="a & b", status="needs_attention"))
    assert '<a href="?error_group=a+%26+b"' in shown
    assert '<a href="?status=needs_attention"' in shown
    assert "format=csv&amp;status=needs_attention&amp;error_group=a+%26+b" in shown
    assert "_changelist_filters=status%3Dneeds_attention%26error_group%3Da%2B%2526%2Bb" in shown


def test_a_user_named_as_a_word_of_ours_is_just_a_user(viewer: Client) -> None:
    User.objects.create_user("nobody")
    run("his", owner="nobody")
    run("free")
    assert found(viewer, owner="nobody") == ["his"]


def test_runs_are_found_by_the_partner_that_they_stand_at(viewer: Client) -> None:
    registry.register(flow([simple("reserve"), simple("charge", partner="bank")]))
    for key, status in (("waits", "ready"), ("past it", "succeeded")):
        made = run(key)
        Step.objects.filter(run=made, name="charge").update(status=status)
    Step.objects.filter(run=parked("stopped"), name="charge").update(status="failed")
    assert found(viewer, partner="bank") == ["stopped", "waits"]
    assert found(viewer, partner="bank", status="needs_attention") == ["stopped"]
    shown = page(viewer, partner="bnk")
    assert list(shown.context["cl"].result_list) == []
    assert "No step names a partner &#x27;bnk&#x27;." in shown.content.decode()
