"""``manage.py audit``: the chain is verified and written out."""

from __future__ import annotations

import io
import json
from hashlib import sha256

import pytest
from django.core.management import CommandError, call_command

from sagas import db
from sagas.models import AuditEntry
from sagas.operate.audit import append
from tests.sagas.stage import tampering

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def entries() -> None:
    for number in range(3):
        append(actor="ann", verb="retry", reason=f"ticket {number}", details={"ü": "<b>"})


def said(*words: str) -> str:
    out = io.StringIO()
    call_command("audit", *words, stdout=out)
    return out.getvalue()


def test_a_whole_chain_is_whole_and_its_last_entry_is_to_be_noted() -> None:
    text = said("verify")
    last = AuditEntry.objects.get(number=3)
    assert "Checked 3 entries: each is there and as it was written." in text
    assert text.endswith(f"3:{last.hash}\n")
    assert said("verify", "--head", f"3:{last.hash}") == text


def test_a_broken_chain_fails_the_command_and_names_the_entry() -> None:
    with tampering():
        db.execute("UPDATE sagas_auditentry SET reason = 'ticket 9' WHERE number = 2")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of its entries"):
        call_command("audit", "verify", stdout=out)
    assert out.getvalue() == "2 it was changed after it was written\n"


def test_a_tail_that_was_cut_off_is_found_by_who_has_noted_it() -> None:
    noted = f"3:{AuditEntry.objects.get(number=3).hash}"
    with tampering():
        db.execute("DELETE FROM sagas_auditentry WHERE number = 3")
    said("verify")  # nothing in what is left tells of it
    with pytest.raises(CommandError, match="Entry 3 is gone: the last is 2"):
        said("verify", "--head", noted)
    append(actor="bob", verb="retry", reason="instead")
    with pytest.raises(CommandError, match="is another one than was noted"):
        said("verify", "--head", noted)


@pytest.mark.parametrize("head", ["3", "x:y", "3:abc"])
def test_a_head_that_is_none_is_refused(head: str) -> None:
    with pytest.raises(CommandError, match="NUMBER:HASH"):
        said("verify", "--head", head)


def test_an_export_holds_what_anybody_needs_to_check_it() -> None:
    lines = [json.loads(line) for line in said("export").splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    for line, before in zip(lines[1:], lines, strict=False):
        assert line["previous"] == before["hash"]
        assert sha256(line["text"].encode()).hexdigest() == line["hash"]
        assert json.loads(line["text"])[2] == line["actor"] == "ann"
    assert lines[0]["details"] == {"ü": "<b>"}
    assert [json.loads(text)["number"] for text in said("export", "--after", "2").splitlines()] == [
        3
    ]


def test_an_empty_audit_is_whole() -> None:
    with tampering():
        db.execute("DELETE FROM sagas_auditentry")
    assert "Checked 0 entries" in said("verify")
    assert said("export") == ""
