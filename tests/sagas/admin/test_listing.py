from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from bench import history
from sagas.admin.listing import FewPaginator, OncePaginator
from sagas.define import registry
from sagas.models import Run, SavedView, Step
from tests.sagas.admin.people import scoped
from tests.sagas.admin.records import PAGES, pages_of, run
from tests.sagas.flows import flow
from tests.sagas.statements import counted


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def page(viewer: Client, **query: str) -> Any:
    return viewer.get(f"{PAGES['run']}?{urlencode(query)}")


def found(viewer: Client, **query: str) -> list[str]:
    return [r.business_key for r in page(viewer, **query).context["cl"].result_list]


def test_the_list_shows_the_newest_first(viewer: Client) -> None:
    for key in "abc":
        run(key)
    assert found(viewer) == ["c", "b", "a"]


def test_no_order_but_by_age_can_be_asked_for(viewer: Client) -> None:
    for key in "bca":
        run(key)
    assert found(viewer, o="1") == found(viewer, o="-1") == ["a", "c", "b"]


def test_a_run_is_found_by_its_id_or_the_start_of_its_key(viewer: Client) -> None:
    wanted = run("order:17")
    run("order:18")
    run("17")
    assert found(viewer, q=str(wanted.id)) == ["order:17"]
    assert found(viewer, q=wanted.id.hex) == ["order:17"]
    assert found(viewer, q="order:1") == ["order:18", "order:17"]
    assert found(viewer, q=" order:17 ") == ["order:17"]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("A-1001", ["order:a-1001"]),  # as the shop prints it
        ("a-10", ["order:a-1001"]),
        ("ORDER:A-1001", ["order:a-1001"]),
        ("Order:a", ["order:a-1001"]),
        ("b-7", ["Shop:Order:B-7"]),  # what stands after the last colon
        ("order:b-7", ["Shop:Order:B-7"]),
        ("shop:order:b", ["Shop:Order:B-7"]),
        ("Shop:Or", ["Shop:Order:B-7"]),
        ("plain", ["PLAIN"]),
        ("order", ["order:a-1001"]),
        ("ORDER", ["order:a-1001"]),
        ("1001", []),  # it begins nowhere
        ("ship:a-1001", []),
        (":", []),
    ],
)
def test_a_run_is_found_by_a_part_of_its_key_in_any_case(
    viewer: Client, term: str, expected: list[str]
) -> None:
    for key in ("order:a-1001", "Shop:Order:B-7", "PLAIN"):
        run(key)
    assert found(viewer, q=term) == expected


def test_a_run_is_found_by_the_beginning_of_its_id_in_any_case(viewer: Client) -> None:
    wanted = run("wanted", id=UUID("01890000-1234-7000-8000-000000000001"))
    run("other", id=UUID("01890000-1235-7000-8000-000000000001"))
    for term in ("01890000-1234", "018900001234", str(wanted.pk)[:20].upper()):
        assert found(viewer, q=term) == ["wanted"], term
    assert found(viewer, q="01890000") == ["other", "wanted"]
    assert found(viewer, q="0189000") == []  # of so few digits it would be most runs


def test_a_number_that_is_an_id_finds_the_run_that_is_about_it(viewer: Client) -> None:
    number = UUID("01890000-aaaa-7000-8000-000000000001")
    run(f"order:{number}")
    for term in (str(number), str(number).upper(), number.hex):
        assert found(viewer, q=term) == [f"order:{number}"], term


def test_what_the_search_is_for_is_no_pattern(viewer: Client) -> None:
    run("100%")
    run("100 of 100")
    assert found(viewer, q="100%") == ["100%"]
    assert found(viewer, q="_") == []


def test_the_sagas_to_filter_by_are_asked_of_the_code_not_of_the_table(viewer: Client) -> None:
    registry.register(flow(["a"]))
    registry.register(flow(["a"], version=2))
    with counted() as statements:
        shown = page(viewer)
    assert shown.content.count(b'<option value="flow">') == 1
    assert not any("DISTINCT" in text and "error_group" not in text for text in statements)


def test_a_row_tells_where_a_run_stands_who_owns_it_and_how_long_it_took(viewer: Client) -> None:
    over = run("over", status="succeeded", finished_at="2100-01-01T00:00:00Z")
    Run.objects.update(finished_at=over.created_at + timedelta(seconds=90))
    made = run("open", owner="ann", status="compensating")
    Step.objects.create(
        run=made, name="reserve", direction="backward", position=0, status="unknown"
    )
    newest, oldest = page(viewer).context["cl"].rows
    assert (newest.steps, newest.owner.line, newest.took) == ("undo of reserve", "ann", "")
    assert (oldest.steps, oldest.owner.line, oldest.took) == ("", "", "90.00 s")
    assert ">under 1 min</time>" in newest.age


def test_a_state_is_a_word_and_a_shape_besides_its_colour(viewer: Client) -> None:
    run(status="needs_attention", attention="why")
    shown = page(viewer).content.decode()
    assert re.search(
        r'class="saga-state saga-needs_attention"><span aria-hidden="true">.</span> '
        "needs attention</span>",
        shown,
    )


def test_what_strangers_wrote_is_harmless_in_every_column(viewer: Client) -> None:
    evil = "<script>alert(1)</script>\u202e\x1b"
    made = run((evil * 9)[:200], tags=[evil[:40]], error_group=(evil * 9)[:200], owner=evil)
    Run.objects.filter(pk=made.pk).update(saga=evil)
    Step.objects.filter(run=made, name="charge").update(name="<i>", status="ready")
    shown = page(viewer, error_group=made.error_group, q=made.business_key).content.decode()
    table = shown.partition("<tbody>")[2]
    assert "&lt;script&gt;" in table
    assert "&lt;i&gt;" in table
    assert "<script>alert" not in shown
    for steering in ("\u202e", "\x1b"):
        assert steering not in table


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"saga": "flow"},
        {"status": "unfinished"},
        {"status": "held"},
        {"status": "stuck"},
        {"step": "charge"},
        {"error_group": "g", "owner": "@me", "tag": "t", "age": "5m", "q": "o"},
    ],
)
@pytest.mark.parametrize("restricted", [False, True])
def test_a_list_costs_as_many_statements_for_a_full_page_as_for_one_run(
    viewer: Client, query: dict[str, str], restricted: bool
) -> None:
    client = viewer
    if restricted:
        client.force_login(scoped("clerk", "flow"))
    registry.register(flow(["reserve", "charge"]))
    SavedView.objects.create(name="v", query="status=stuck", owner="clerk", shared=True)
    run("one")
    page(client, **query)  # warm
    with counted() as few:
        page(client, **query)
    for number in range(60):
        run(f"order:{number}", error_group="g")
    with counted() as many:
        page(client, **query)
    # A restricted user's scope is read in two more statements.
    assert len(many) == len(few) <= (12 if restricted else 10)


def test_the_last_page_that_is_offered_reads_steps_for_its_own_runs_only(viewer: Client) -> None:
    for number in range(120):
        run(f"order:{number}")
    with counted() as statements:
        page(viewer, p="3")
    (sql,) = (text for text in statements if "at_steps" in text)
    assert re.search(r"IN \(SELECT .* LIMIT 20 OFFSET 100\)", sql), sql


def test_where_more_match_than_are_counted_the_page_says_so(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in "abc":
        run(key)
    assert "There may be more" not in page(viewer).content.decode()
    monkeypatch.setattr(FewPaginator, "cap", 3)
    assert "There may be more" in page(viewer).content.decode()


def test_every_table_shows_only_what_is_of_ones_sagas(client: Client, db: None) -> None:
    mine, theirs = run("mine"), run("theirs", saga="other")
    client.force_login(scoped("clerk", "flow"))
    for table, address in PAGES.items():
        assert client.get(pages_of(mine)[table]).status_code == 200, table
        refused = client.get(pages_of(theirs)[table], follow=True)  # with a message
        assert "theirs" not in refused.content.decode().partition("<table")[2], table
        assert str(theirs.pk) not in client.get(address).content.decode(), table
        assert client.get(pages_of(theirs)[table]).status_code == 302


@pytest.fixture
def stored(viewer: Client) -> Client:
    """5,000 runs of several sagas in every state."""
    history.store(5_000, vacuum=False)
    return viewer


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"status": "needs_attention"}, "sagas_run_notable"),
        ({"status": "compensated"}, "sagas_run_notable"),
        ({"status": "unfinished"}, "sagas_run_notable"),
        ({"status": "stuck"}, "sagas_run_wake"),
        ({"step": "capture_payment"}, "sagas_run_notable"),
        ({"error_group": "charge: card c refused with …"}, "sagas_run_notable"),
        ({"tag": "launch"}, "sagas_run_tags"),
        ({"since": "2020-01-01", "until": "2020-01-02"}, "sagas_run_pkey"),
        ({"q": "order:123"}, "sagas_run_key_prefix"),
        ({"q": "order:123"}, "sagas_run_key_end"),
        ({"q": "123"}, "sagas_run_key_end"),
        ({"q": "ORDER:123"}, "sagas_run_key_end"),
        ({"q": "01890000-1234-70"}, "sagas_run_pkey"),
        ({"q": "01890000-1234-70"}, "sagas_run_key_end"),
    ],
)
def test_each_filter_is_counted_by_an_index(
    stored: Client, query: dict[str, str], index: str
) -> None:
    queryset = page(stored, **query).context["cl"].queryset
    sql, params = queryset.order_by()[:10_000].values("pk").query.sql_with_params()
    plan = plan_of(sql, params)
    assert re.search(index, plan), plan
    assert "Seq Scan on sagas_run" not in plan, plan
    assert "Seq Scan on sagas_step" not in plan, plan


@pytest.mark.parametrize("query", [{}, {"saga": "refund"}, {"age": "1d"}])
def test_a_page_of_the_newest_is_read_in_the_order_of_an_index(
    stored: Client, query: dict[str, str]
) -> None:
    queryset = page(stored, **query).context["cl"].queryset
    plan = plan_of(*queryset[:50].query.sql_with_params())
    assert re.search(r"Index Scan Backward using sagas_run_pkey", plan), plan
    assert "Sort" not in plan, plan


@pytest.mark.parametrize("query", [{"q": "order:"}, {"step": "capture_payment"}])
def test_what_is_dear_to_find_is_read_once_and_no_more_of_it_than_so_many(
    stored: Client, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OncePaginator, "cap", 30)
    with counted() as statements:
        changelist = page(stored, **query).context["cl"]
    (sql,) = (text for text in statements if "LIMIT 30" in text)
    assert "COUNT" not in sql
    assert (changelist.result_count, len(changelist.rows), changelist.capped) == (30, 30, True)
    assert changelist.queryset.count() > 30  # all of it is exported


def test_the_pages_of_a_search_follow_each_other(viewer: Client) -> None:
    for number in range(120):
        run(f"order:{number}")
    keys = [key for number in "123" for key in found(viewer, q="order:", p=number)]
    assert keys == [f"order:{number}" for number in reversed(range(120))]
    assert page(viewer, q="order:", p="4").status_code == 302


def plan_of(sql: str, params: Any) -> str:
    """The plan on a solid-state disk: by the default, of a spinning one, some are near a tie."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(line for (line,) in cursor.fetchall())
