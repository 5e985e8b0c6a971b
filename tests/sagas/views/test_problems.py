from __future__ import annotations

import logging
from typing import Any
from unittest.mock import patch

import pytest
from django.core.signals import got_request_exception

from sagas.define.saga import Definition
from sagas.errors import IllegalMove
from tests.sagas.views.callers import Caller


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/sagas/", "/api/runs/17"])
def test_an_unknown_address_is_told_as_a_problem(nobody: Caller, path: str) -> None:
    answer = nobody.get(path)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": f"There is nothing at {path}.",
        "instance": path,
    }


def test_a_wrong_method_is_told_with_the_right_ones(nobody: Caller) -> None:
    answer = nobody.client.delete("/api/sagas")
    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "DELETE is not allowed here; allowed: GET."


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), IllegalMove("secret")])
def test_an_unexpected_error_is_logged_and_not_told(
    saga: Definition, caller: Caller, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    heard: list[Any] = []
    listener = lambda **about: heard.append(about["request"])  # noqa: E731
    got_request_exception.connect(listener)
    with patch("sagas.views.runs.start", side_effect=error), caplog.at_level(logging.ERROR):
        answer = caller.start({})
    got_request_exception.disconnect(listener)
    assert answer.status_code == 500
    assert answer["Content-Type"] == "application/problem+json"
    assert b"secret" not in answer.content
    assert "secret" in caplog.text
    assert [request.path for request in heard] == ["/api/sagas/flow/runs"]
