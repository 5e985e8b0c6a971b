from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from sagas.models import Worker

PAGE = "/admin/sagas/worker/"


def a_worker(name: str, seconds: float) -> Worker:
    until = timezone.now() + timedelta(seconds=seconds)
    return Worker.objects.create(name=name, host="<b>host</b>", pid=7, lease_until=until)


def test_workers_are_listed_with_the_living_first(viewer: Client) -> None:
    a_worker("lost", -60)
    a_worker("living", 60)
    page = viewer.get(PAGE).content.decode()
    assert page.index("living") < page.index("lost")
    assert page.count('alt="True"') == page.count('alt="False"') == 1
    assert "<b>host</b>" not in page


def test_a_workers_page_tells_until_when_it_holds_its_steps(viewer: Client) -> None:
    page = viewer.get(f"{PAGE}{a_worker('one', 60).pk}/change/").content.decode()
    assert "lease until" in page.lower()


def test_nobody_changes_a_worker_by_hand(viewer: Client) -> None:
    worker = a_worker("one", 60)
    assert viewer.post(f"{PAGE}{worker.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Worker.objects.exists()
