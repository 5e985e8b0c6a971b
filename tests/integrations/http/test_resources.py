import json

import pytest

from integrations.call import Call
from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.http import find, make, undo
from tests.integrations.http.raw import answering, response


def call(writes: bool = True) -> Call:
    return Call.within(5, "inventory", "reserve", writes=writes)


def test_the_partners_own_code_is_part_of_the_detail() -> None:
    body = json.dumps({"error": {"code": "out_of_stock", "message": "For jane@example.com"}})
    conflict = answering(response(body.encode(), "409 Conflict"))
    with conflict as address, pytest.raises(PartnerRefused) as caught:
        make(call(), address, {"sku": "tea"}, key="k")
    assert caught.value.detail == "answered 409 out_of_stock"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"code": "jane@example.com"}}']
)
def test_an_error_body_in_no_known_form_adds_nothing_to_the_detail(body: bytes) -> None:
    wrong = answering(response(body, "400 Bad Request"))
    with wrong as address, pytest.raises(PartnerRefused) as caught:
        make(call(), address, {}, key="k")
    assert caught.value.detail == "answered 400"


def test_a_key_still_in_use_is_unknown() -> None:
    body = json.dumps({"error": {"code": "idempotency_key_in_use"}}).encode()
    with answering(response(body, "409 Conflict")) as address, pytest.raises(PartnerUnknown):
        make(call(), address, {}, key="k")


def test_an_id_cannot_lead_a_call_to_another_address() -> None:
    with answering(response(b"", "404 Not Found")) as address:
        undo(call(), address, "../../control/reset?x=", "release", key="k")


def test_of_several_things_found_the_newest_counts() -> None:
    things = {"data": [{"id": "1", "status": "held"}, {"id": "2", "status": "held"}]}
    with answering(response(json.dumps(things).encode())) as address:
        found = find(call(writes=False), address, {"reference": "r"}, status="held")
    assert found == {"id": "2", "status": "held"}


@pytest.mark.parametrize("body", [b"{}", b'{"data": {}}', b'{"data": ["x"]}', b'{"data": null}'])
def test_an_answer_that_is_no_list_is_not_an_empty_one(body: bytes) -> None:
    with answering(response(body)) as address, pytest.raises(PartnerUnavailable):
        find(call(writes=False), address, {"reference": "r"})
