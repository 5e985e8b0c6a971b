from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from pydantic import BaseModel

from sagas.api import Redacted, Run, step
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import AuditEntry, Scope, Step
from sagas.models import Run as RunRow
from sagas.operate import audit, reveal
from tests.sagas.flows import Payload

HIDDEN = "•••"


class Receipt(BaseModel):
    number: int
    holder: Annotated[str, Redacted]


@step
def pay(run: Run[Payload]) -> Receipt:
    return Receipt(number=1, holder="Ann")


@pay.compensate
def pay_back(run: Run[Payload]) -> None:
    return None


@step(harmless=True)
def whisper(run: Run[Payload]) -> Annotated[str, Redacted]:
    return "psst"


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    with registry.isolated():
        registry.register(Definition("flow", payload=Payload, steps=[pay, whisper]))
        yield


def row(**values: Any) -> RunRow:
    return RunRow(**{"saga": "flow", "version": 1, **values})


def result(name: str, document: Any, run: RunRow | None = None, **values: Any) -> Any:
    found = Step(name=name, **{"direction": "forward", **values})
    return reveal.result(run or row(), found, document, reveal=False)


def test_a_result_is_redacted_by_what_its_step_returns() -> None:
    assert result("pay", {"number": 1, "holder": "Ann"}) == {"number": 1, "holder": HIDDEN}
    assert result("whisper", "psst") == HIDDEN


def test_a_result_of_a_compensation_is_not_taken_for_the_steps_own() -> None:
    assert result("pay", {"number": 1}, direction="backward") == {"number": HIDDEN}


def test_what_no_code_can_name_the_fields_of_is_hidden_altogether() -> None:
    gone = row(saga="gone")
    assert reveal.payload(gone, {"a": {"b": 1}, "c": None}, reveal=False) == {
        "a": {"b": HIDDEN},
        "c": None,
    }
    assert result("pay", {"number": 1}, gone) == {"number": HIDDEN}
    assert result("other", {"number": 1}) == {"number": HIDDEN}


def test_a_version_that_is_gone_is_redacted_by_the_newest() -> None:
    assert result("pay", {"number": 1, "holder": "Ann"}, row(version=7)) == {
        "number": 1,
        "holder": HIDDEN,
    }


def test_what_has_no_schema_is_redacted_by_names() -> None:
    document = {"token": "x", "deep": [{"card_number": 4}], "amount": 1}
    assert reveal.loose(document, reveal=False) == {
        "token": HIDDEN,
        "deep": [{"card_number": HIDDEN}],
        "amount": 1,
    }
    assert reveal.loose(document, reveal=True) == document


def test_revealing_needs_the_permission_within_its_scope(db: None) -> None:
    assert not reveal.reveals(User.objects.create_user("viewer"), "flow")
    group = Group.objects.create(name="secretive")
    group.permissions.add(Permission.objects.get(codename="reveal_run"))
    Scope.objects.create(group=group, saga="flow")
    keeper = User.objects.create_user("keeper")
    keeper.groups.add(group)
    assert reveal.reveals(keeper, "flow")
    assert not reveal.reveals(keeper, "other")


def test_what_a_verb_was_told_is_redacted_as_its_documents_are() -> None:
    given = {"step": "pay", "result": {"number": 1, "holder": "Ann"}, "token": "x"}
    told = reveal.told(given, "flow", "pay", reveal=False)
    shown = {"step": "pay", "result": {"number": 1, "holder": HIDDEN}, "token": HIDDEN}
    assert told == shown
    assert reveal.told(given, "flow", "pay", reveal=True) == given
    for saga, of_step in (("gone", "pay"), ("flow", "gone"), ("", "")):
        hidden = reveal.told(given, saga, of_step, reveal=False)
        assert hidden["result"] == {"number": HIDDEN, "holder": HIDDEN}
    payload = {"payload": {"number": 3}}
    assert reveal.told(payload, "flow", "", reveal=False) == payload
    assert reveal.told(payload, "gone", "", reveal=False) == {"payload": {"number": HIDDEN}}


def test_who_is_shown_redacted_fields_is_in_the_audit_once(db: None) -> None:
    root, run_id = User.objects.create_superuser("root"), uuid4()
    for _ in range(3):
        assert reveal.revealing(root, "flow", run=run_id)
        assert reveal.revealing(root, "flow", subject="signal 7")
    entries = AuditEntry.objects.order_by("number").values_list("actor", "verb", "run", "subject")
    assert list(entries) == [("root", "reveal", run_id, ""), ("root", "reveal", None, "signal 7")]
    through: Any = User.objects.get(pk=root.pk)
    through.acts_through = "token 7"
    assert reveal.revealing(through, "flow", run=run_id)
    assert AuditEntry.objects.latest("number").details == {"through": "token 7"}


def test_who_may_not_see_them_is_not_noted(db: None) -> None:
    assert not reveal.revealing(User.objects.create_user("ann"), "flow", run=uuid4())
    assert not AuditEntry.objects.exists()


def test_what_cannot_be_noted_is_not_shown(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**entry: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "append", full)
    with pytest.raises(OSError, match="full"):
        reveal.revealing(User.objects.create_superuser("root"), "flow", run=uuid4())
