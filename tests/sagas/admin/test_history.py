from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core import serializers
from django.test import Client

from sagas.admin.history import CappedPaginator, ReadOnly, pretty
from sagas.models import Event, Run, Signal, Step
from tests.sagas.admin.records import PAGES, pages_of, run
from tests.sagas.statements import counted

TABLES = list(PAGES)


def everything() -> str:
    """All rows of the record, to be compared."""
    rows = [*Run.objects.all(), *Step.objects.all(), *Event.objects.all(), *Signal.objects.all()]
    return str(serializers.serialize("json", rows))


def test_every_table_of_the_record_is_there_and_read_only() -> None:
    for model in (Run, Step, Event, Signal):
        page = admin.site.get_model_admin(model)
        assert isinstance(page, ReadOnly)
        assert all(issubclass(inline, ReadOnly) for inline in page.inlines)


@pytest.mark.parametrize("table", TABLES)
def test_a_viewer_reads_the_list_and_the_row(viewer: Client, table: str) -> None:
    made = run()
    User.objects.get().user_permissions.add(Permission.objects.get(codename="reveal_run"))
    assert viewer.get(PAGES[table]).status_code == 200
    page = viewer.get(pages_of(made)[table])
    assert page.status_code == 200
    assert b"&lt;" in page.content
    assert not re.search(rb"<(script>|b>|u>|s>|i>late)", page.content)


@pytest.mark.parametrize("table", TABLES)
def test_not_even_a_superuser_changes_anything(client: Client, db: None, table: str) -> None:
    made = run()
    pages, before = pages_of(made), everything()
    client.force_login(User.objects.create_superuser("root"))
    row, delete = pages[table], pages[table].replace("change", "delete")
    assert client.post(row, {"status": "succeeded", "_save": "Save"}).status_code == 403
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert client.get(delete).status_code == 403
    assert client.post(f"{PAGES[table]}add/", {"name": "new"}).status_code == 403
    assert client.get(f"{PAGES[table]}add/").status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": made.pk, "post": "yes"}
    client.post(PAGES[table], chosen)
    assert everything() == before


@pytest.mark.parametrize("table", TABLES)
def test_no_page_offers_to_change_anything(client: Client, db: None, table: str) -> None:
    made = run()
    client.force_login(User.objects.create_superuser("root"))
    for page in (PAGES[table], pages_of(made)[table]):
        html = client.get(page).content.decode()
        assert not re.search(r'name="(action|_save|_continue|_addanother)"|deletelink', html)
        assert "/add/" not in html.partition('id="content')[2]


@pytest.mark.parametrize("table", TABLES)
def test_without_the_permission_nothing_is_seen(client: Client, db: None, table: str) -> None:
    made = run()
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(PAGES[table]).status_code == 403
    assert client.get(pages_of(made)[table]).status_code == 403


@pytest.mark.parametrize("table", TABLES)
def test_a_list_costs_the_same_for_one_row_and_for_many(viewer: Client, table: str) -> None:
    run("first")
    viewer.get(PAGES[table])  # warm
    with counted() as few:
        viewer.get(PAGES[table])
    for number in range(12):
        run(f"more-{number}")
    with counted() as many:
        page = viewer.get(PAGES[table])
    assert page.context["cl"].result_count > 12
    assert len(many) == len(few) <= 10  # of a run also why it stands where it does


def test_a_list_reads_no_large_column(viewer: Client) -> None:
    run()
    columns = {"run": "payload", "step": "result", "signal": "payload"}
    for table, column in [*columns.items(), *((table, "amended") for table in columns)]:
        with counted() as statements:
            viewer.get(PAGES[table])
        assert not any(f'"{column}"' in text for text in statements), table


def test_counting_stops_at_a_cap(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagas.admin.history._COUNTED", 3)
    for number in range(5):
        run(str(number))
    with counted() as statements:
        assert CappedPaginator(Run.objects.all(), 2).num_pages == 2
    assert "LIMIT 3" in statements[0]


@pytest.mark.parametrize("table", TABLES)
def test_a_hostile_search_or_filter_breaks_no_page(viewer: Client, table: str) -> None:
    run()
    for query in ("q=%00", "q=%27%22%3C", "q=" + "x" * 5000, "saga=%00", "saga=nothing", "p=99"):
        assert viewer.get(f"{PAGES[table]}?{query}").status_code in (200, 302)


def test_json_is_shown_in_lines_and_escaped() -> None:
    shown = pretty({"b": "<", "a": "ä"})
    lines = ("{", "  &quot;a&quot;: &quot;ä&quot;,", "  &quot;b&quot;: &quot;&lt;&quot;", "}")
    assert shown == f"<pre><bdi>{chr(10).join(lines)}</bdi></pre>"


@pytest.mark.parametrize(
    "lookup",
    [
        "step/?result__token__startswith=s",
        "signal/?payload__icontains=s",
        "event/?data__iban=1",
        "auditentry/?details__changed__iban__0=1",
        "approval/?arguments__result__token=1",
        "batch/?arguments__result=1",
    ],
)
def test_what_is_redacted_cannot_be_guessed_by_a_filter(viewer: Client, lookup: str) -> None:
    run()
    assert viewer.get(f"/admin/sagas/{lookup}").status_code == 400
    assert viewer.get(f"/admin/sagas/{lookup.partition('?')[0]}").status_code == 200
