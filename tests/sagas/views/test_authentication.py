from __future__ import annotations

import pytest

from sagas.define.saga import Definition
from tests.sagas.views.callers import Caller

PATH = "/api/sagas/flow/runs"
KEY = {"Idempotency-Key": "1"}


def test_a_token_stands_for_its_user(saga: Definition, caller: Caller) -> None:
    assert caller.get("/api/sagas").status_code == 200


def test_a_token_that_is_none_is_refused_even_in_a_session(caller: Caller) -> None:
    browser = caller.log_in()
    assert browser.get("/api/sagas").status_code == 200
    answer = browser.get("/api/sagas", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="sagas", error="invalid_token"'
    assert "token" in answer.json()["detail"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "\x01", "Bearer a b"])
def test_without_a_token_or_session_the_answer_says_what_to_send(
    nobody: Caller, header: str
) -> None:
    answer = nobody.get("/api/sagas", authorization=header)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith('Bearer realm="sagas"')


def test_nobody_is_told_to_log_in_before_anything_else_is_checked(nobody: Caller) -> None:
    assert nobody.post("/api/sagas/nothing/runs", b"{").status_code == 401


def test_a_session_may_read(saga: Definition, caller: Caller) -> None:
    assert caller.log_in().get("/api/sagas/flow").status_code == 200


def test_a_session_may_change_things_only_with_the_csrf_token(
    saga: Definition, caller: Caller
) -> None:
    browser = caller.log_in()
    refused = browser.post(PATH, b"{}", "application/json", headers=KEY)
    assert refused.status_code == 403
    assert "X-CSRFToken" in refused.json()["detail"]
    token = browser.cookies["csrftoken"] = "x" * 32
    headers = {**KEY, "X-CSRFToken": token}
    assert browser.post(PATH, b"{}", "application/json", headers=headers).status_code == 202
