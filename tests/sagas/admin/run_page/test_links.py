from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from sagas.admin.run_page.links import links
from sagas.define import registry
from sagas.models import Run
from tests.sagas.flows import flow


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def made(key: str = "order:1", **values: Any) -> Run:
    return Run(**{"saga": "flow", "version": 1, "business_key": key, **values})


def about(answer: Any) -> list[tuple[str, str]]:
    registry.register(flow(["a"], about=answer))
    return links(made())


def test_a_saga_says_where_the_page_of_what_it_is_about_is() -> None:
    assert about(lambda key: f"/orders/{key}/") == [("what it is about", "/orders/order:1/")]


@pytest.mark.parametrize(
    "url",
    [
        *("javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//elsewhere.example"),
        *("/\\elsewhere.example", "\x01javascript:x", "https://a\n.example", "", "orders/1"),
    ],
)
def test_only_harmless_addresses_are_linked(url: str) -> None:
    assert about(lambda key: url) == []


def test_other_sites_are_linked() -> None:
    assert about(lambda key: "https://shop.example/1") == [
        ("what it is about", "https://shop.example/1")
    ]


def test_an_exception_shows_no_link_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(key: str) -> str:
        raise LookupError("no such order")

    with caplog.at_level(logging.ERROR):
        assert about(broken) == []
    assert "no such order" in caplog.text


def test_a_saga_that_is_gone_has_no_page_of_what_it_is_about() -> None:
    assert links(made()) == []


def test_links_of_the_settings_are_filled_in_and_quoted() -> None:
    run = made("a/b?c=<d> é")
    templates = {
        "trace": "https://traces.example/{run_id}",
        "log": "/logs?saga={saga}&key={business_key}",
    }
    with override_settings(SAGAS={"LINKS": templates}):
        assert links(run) == [
            ("trace", f"https://traces.example/{run.id}"),
            ("log", "/logs?saga=flow&key=a%2Fb%3Fc%3D%3Cd%3E%20%C3%A9"),
        ]
