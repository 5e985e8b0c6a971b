from __future__ import annotations

from django.http import HttpResponse
from django.test import RequestFactory

from sagas.admin.living import living


def asked(etag: str = "") -> tuple[int, list[str], str, str]:
    """Ask for parts whose tag is "b" with a tag of one's own. Gives what was answered and drawn."""
    drawn: list[str] = []

    def draw() -> HttpResponse:
        drawn.append("once")
        return HttpResponse("parts")

    headers = {"If-None-Match": etag} if etag else {}
    answer = living(RequestFactory().get("/", headers=headers), '"b"', draw)
    return answer.status_code, drawn, answer["ETag"], answer["Cache-Control"]


def test_what_has_changed_is_drawn_with_its_tag() -> None:
    kept = "private, no-cache"
    assert asked() == asked('"a"') == (200, ["once"], '"b"', kept)


def test_what_has_not_changed_is_not_even_drawn() -> None:
    assert asked('"b"') == (304, [], '"b"', "private, no-cache")
