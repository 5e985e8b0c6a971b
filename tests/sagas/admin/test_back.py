from __future__ import annotations

from django.test import RequestFactory

from sagas.admin.back import came_from, carried, list_of


def came(address: str) -> str:
    return came_from(RequestFactory().get(address))


def test_a_filter_goes_along_and_comes_back() -> None:
    address = carried("/admin/sagas/run/1/do/retry/?step=a", "status=stuck&q=a b")
    assert address.startswith("/admin/sagas/run/1/do/retry/?step=a&_changelist_filters=")
    assert came(address) == "status=stuck&q=a+b"
    assert came(carried("/x/", "tag=vip")) == "tag=vip"
    assert list_of("tag=vip") == "/admin/sagas/run/?tag=vip"


def test_who_came_from_nowhere_goes_to_all_runs() -> None:
    assert carried("/x/", "") == "/x/"
    assert came("/x/") == ""
    assert list_of("") == "/admin/sagas/run/"


def test_only_filters_come_back() -> None:
    assert came("/x/?_changelist_filters=next%3D%2F%2Fevil%26status%3Dheld") == "status=held"
    assert came("/x/?_changelist_filters=%00%0d%0a") == ""
