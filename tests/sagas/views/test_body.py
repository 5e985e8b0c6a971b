from __future__ import annotations

import pytest
from pytest_django import Settings

from sagas.define.saga import Definition
from tests.sagas.views.callers import Caller

PATH = "/api/sagas/flow/runs"


def test_a_body_above_the_limit_is_refused(
    saga: Definition, caller: Caller, settings: Settings
) -> None:
    settings.SAGAS = {"MAX_DOCUMENT_BYTES": 100}
    assert caller.start(b"{" + b" " * 98 + b"}", key="fits").status_code == 202
    answer = caller.start(b"{" + b" " * 99 + b"}", key="does not")
    assert answer.status_code == 413
    assert "100 bytes" in answer.json()["detail"]


def test_a_body_that_django_refuses_to_read_is_refused_alike(
    saga: Definition, caller: Caller, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = caller.start(b"{" + b" " * 2000 + b"}")
    assert answer.status_code == 413
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "x"])
def test_what_is_not_declared_as_json_is_refused(
    saga: Definition, caller: Caller, kind: str
) -> None:
    answer = caller.client.post(PATH, b"{}", kind, headers={"Idempotency-Key": "1"})
    assert answer.status_code == 415


def test_a_form_that_passed_the_csrf_check_is_refused_alike(
    saga: Definition, caller: Caller
) -> None:
    browser = caller.log_in()
    token = "x" * 32
    browser.cookies["csrftoken"] = token
    answer = browser.post(PATH, {"csrfmiddlewaretoken": token}, headers={"Idempotency-Key": "1"})
    assert answer.status_code == 415
