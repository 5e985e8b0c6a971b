from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sagas.admin import views
from sagas.models import SavedView
from tests.sagas.admin.records import PAGES, run

SAVE, DELETE = "/admin/sagas/run/save-view/", "/admin/sagas/run/delete-view/"


def told(response: Any) -> str:
    return " ".join(str(m) for m in response.context["messages"])


def saved(viewer: Client, **values: str) -> Any:
    given = {"name": "stopped", "query": "status=needs_attention", **values}
    return viewer.post(SAVE, given, follow=True)


def test_a_filter_is_saved_under_a_name_and_linked_above_the_list(viewer: Client) -> None:
    response = saved(viewer)
    assert response.redirect_chain[-1][0] == f"{PAGES['run']}?status=needs_attention"
    assert b'<a href="?status=needs_attention"><bdi>stopped</bdi></a>' in response.content
    view = SavedView.objects.get()
    assert (view.name, view.owner, view.shared) == ("stopped", "viewer", False)


def test_a_view_that_is_saved_again_is_replaced(viewer: Client) -> None:
    saved(viewer)
    saved(viewer, query="saga=flow", shared="on")
    view = SavedView.objects.get()
    assert (view.query, view.shared) == ("saga=flow", True)


def test_others_see_what_is_shared_and_cannot_remove_it(viewer: Client) -> None:
    shared = SavedView.objects.create(name="s", query="q=a", owner="ann", shared=True)
    private = SavedView.objects.create(name="p", query="q=b", owner="ann")
    shown = viewer.get(PAGES["run"]).content.decode()
    assert '<a href="?q=a"><bdi>s</bdi></a>' in shown
    assert "q=b" not in shown
    assert DELETE not in shown
    for view in (shared, private):
        assert "You have no such view" in told(viewer.post(DELETE, {"view": view.pk}, follow=True))
    assert SavedView.objects.count() == 2


def test_ones_own_view_is_removed(viewer: Client) -> None:
    saved(viewer)
    view = SavedView.objects.get()
    viewer.post(DELETE, {"view": view.pk})
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("view", ["", "x", "-1", "9" * 400, "\0", "٣"])
def test_to_remove_nonsense_breaks_nothing(viewer: Client, view: str) -> None:
    assert "no such view" in told(viewer.post(DELETE, {"view": view}, follow=True))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "x" * 81}, "needs a name"),
        ({"name": "a\u202eb"}, "needs a name"),
        ({"query": ""}, "There is no filter to save"),
        ({"query": "colour=red&p=3"}, "There is no filter to save"),
        ({"query": "&".join(f"a{n}=1" for n in range(400))}, "There is no filter to save"),
    ],
)
def test_what_cannot_be_saved_is_said(viewer: Client, given: dict[str, str], says: str) -> None:
    assert says in told(saved(viewer, **given))
    assert not SavedView.objects.exists()


def test_of_an_address_only_what_filters_is_kept() -> None:
    assert views.fit("p=3&status=stuck&next=//evil&q=a%26b") == "status=stuck&q=a%26b"
    assert views.fit("\0=%00&<script>") == ""


def test_a_person_has_so_many_views_and_no_more(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_MOST", 2)
    for name in "ab":
        saved(viewer, name=name)
    assert "You have 2 views already" in told(saved(viewer, name="c"))
    saved(viewer, name="b", query="q=new")
    assert sorted(SavedView.objects.values_list("name", "query"))[1] == ("b", "q=new")


def test_a_hostile_name_is_shown_harmlessly(viewer: Client) -> None:
    run()
    shown = saved(viewer, name="<script>alert(1)</script>").content.decode()
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown


@pytest.mark.parametrize("address", [SAVE, DELETE])
def test_views_are_written_by_a_form_with_its_token_and_the_right_to_read(
    client: Client, db: None, address: str
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("root"))
    assert strict.post(address, {"name": "n", "query": "q=a"}).status_code == 403
    client.force_login(User.objects.create_superuser("toor"))
    assert client.get(address).status_code == 405
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.post(address, {"name": "n", "query": "q=a"}).status_code == 403
    assert not SavedView.objects.exists()
