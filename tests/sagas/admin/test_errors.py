from __future__ import annotations

import re

from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.sagas.admin.people import scoped
from tests.sagas.admin.records import run
from tests.sagas.statements import counted

PAGE = "/admin/sagas/run/errors/"


def parked(key: str, group: str, **values: str) -> None:
    run(key, status="needs_attention", attention="why", error_group=group, **values)


def html(client: Client) -> str:
    return client.get(PAGE).content.decode()


def test_each_group_links_to_its_runs_and_to_a_retry_of_them_all(viewer: Client) -> None:
    parked("a", "charge: … & more")
    parked("b", "charge: … & more")
    query = "error_group=charge%3A+%E2%80%A6+%26+more&amp;status=needs_attention"
    shown = html(viewer)
    assert f'href="/admin/sagas/run/?{query}"' in shown
    assert '<td class="saga-number">2</td>' in shown
    assert "Retry all" not in shown
    user = User.objects.get(username="viewer")
    user.user_permissions.add(Permission.objects.get(codename="add_batch"))
    retry = re.search(r'href="(/admin/sagas/run/[^"]+)">Retry all', html(viewer))
    assert retry is not None
    assert retry[1].replace("&amp;", "&").startswith("/admin/sagas/run/bulk/?error_group=charge")
    assert viewer.get(retry[1].replace("&amp;", "&")).status_code == 200


def test_the_links_lead_to_just_those_runs(viewer: Client) -> None:
    parked("it", "<b>\u202e '\" + %41 #")
    parked("other", "<b>")
    link = re.search(
        r'<th scope="row"><a href="([^"]+)">.*202e|<a href="([^"]+%E2%80%AE[^"]+)"', html(viewer)
    )
    assert link is not None
    page = viewer.get((link[1] or link[2]).replace("&amp;", "&"))
    assert [r.business_key for r in page.context["cl"].result_list] == ["it"]


def test_a_group_is_shown_harmlessly(viewer: Client) -> None:
    parked("a", "<script>alert(1)</script>\u202e")
    shown = html(viewer)
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
    assert "\u202e" not in shown


def test_only_groups_of_ones_sagas_are_seen(client: Client, db: None) -> None:
    parked("a", "mine")
    parked("b", "theirs", saga="other")
    client.force_login(scoped("clerk", "flow"))
    shown = html(client)
    assert "mine" in shown
    assert "theirs" not in shown


def test_without_the_permission_nothing_is_seen(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(PAGE).status_code == 403


def test_it_costs_the_same_for_no_group_and_for_many(viewer: Client) -> None:
    viewer.get(PAGE)  # warm
    with counted() as few:
        assert "No run needs attention" in html(viewer)
    for number in range(30):
        parked(f"k{number}", f"group {number}")
    with counted() as many:
        html(viewer)
    assert len(many) == len(few) <= 6
