from __future__ import annotations

from uuid import uuid4

from django.contrib.auth.models import User
from django.test import Client

from sagas.models import Event
from tests.sagas.admin.records import PAGES, pages_of, run
from tests.sagas.stage import tampering


def test_an_event_links_to_its_run(viewer: Client) -> None:
    made = run()
    for page in (PAGES["event"], pages_of(made)["event"]):
        assert pages_of(made)["run"] in viewer.get(page).content.decode()


def test_events_tell_their_time_to_the_millisecond(viewer: Client) -> None:
    made = run()
    with tampering():
        Event.objects.update(at="2026-01-02T03:04:05.678901Z")
    for page in (PAGES["event"], pages_of(made)["event"], pages_of(made)["run"]):
        assert b"2026-01-02 03:04:05.678" in viewer.get(page).content


def test_an_event_whose_run_is_gone_is_still_shown(viewer: Client) -> None:
    event = Event.objects.create(run_id=uuid4(), new="running", epoch=1)
    for page in (PAGES["event"], f"{PAGES['event']}{event.pk}/change/"):
        assert str(event.run_id) in viewer.get(page).content.decode()


def test_data_is_redacted_for_those_who_may_not_reveal_it(viewer: Client) -> None:
    made = run()
    with tampering():
        Event.objects.update(data={"why": "late", "phone": "0049 30"})
    page = pages_of(made)["event"]
    seen = viewer.get(page).content.decode()
    assert "0049 30" not in seen
    assert "late" in seen
    viewer.force_login(User.objects.create_superuser("root"))
    assert "0049 30" in viewer.get(page).content.decode()
