from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from sagas.api import pivot, start, wait_for
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import ApiToken, AuditEntry, Run
from sagas.operate.asker import Shell
from sagas.operate.token import user_of
from sagas.run.origin import OriginKind, starting
from tests.sagas.driven import driven
from tests.sagas.flows import Payload, flow, simple

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def saga(db: None) -> Iterator[Definition]:
    with registry.isolated():
        known = flow([pivot(simple("a", harmless=True)), "b"])
        registry.register(known)
        yield known


def said(*words: str) -> str:
    """What ``manage.py sagas`` prints for these words."""
    out = io.StringIO()
    call_command("sagas", *words, stdout=out)
    return out.getvalue().rstrip("\n")


def refused(*words: str) -> str:
    """The one line in which ``manage.py sagas`` refuses these words."""
    with pytest.raises(CommandError) as caught:
        said(*words)
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- look ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("list",)])
def test_the_list_counts_each_sagas_runs_by_status(saga: Definition, words: tuple[str]) -> None:
    for key in "12":
        driven(saga, Payload(), key=key)
    said("start", "flow", "--key", "3")
    line = next(line for line in said(*words).splitlines() if line.startswith("flow "))
    assert line.split(maxsplit=3) == ["flow", "1", "2", "1 pending, 2 succeeded"]


def test_the_list_keeps_sagas_whose_code_is_gone(db: None) -> None:
    with registry.isolated():
        registry.register(flow(["a"]))
        said("start", "flow", "--key", "1")
    line = next(line for line in said().splitlines() if line.startswith("flow "))
    assert line.split(maxsplit=3) == ["flow", "1", "gone", "1 pending"]


def test_a_saga_is_shown_as_a_drawing(saga: Definition) -> None:
    assert "◆ a   ═══ point of no return ═══" in said("show", "flow")
    assert "Did you mean 'flow'?" in refused("show", "flaw")


def test_a_run_is_shown_by_a_part_of_its_id(saga: Definition) -> None:
    run_id = driven(saga, Payload())
    for part in (str(run_id), str(run_id)[:13], str(run_id)[-6:], str(run_id).upper()):
        assert f"run {run_id}" in said("run", part)
    assert json.loads(said("run", str(run_id), "--json"))["id"] == str(run_id)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("--search", "A-1"), ["order:a-1", "a-1"]),
        (("--search", "ORDER:A"), ["order:a-1"]),
        (("--search", "tag:vip"), ["2"]),
        (("--tag", "vip"), ["2"]),
        (("--partner", "bank"), ["waits"]),
        (("--search", "a-1", "--saga", "flow"), ["order:a-1", "a-1"]),
        (("--search", "a-1", "--saga", "other"), []),
    ],
)
def test_runs_are_found_by_the_search_and_the_filters_of_the_console(
    saga: Definition, words: tuple[str, ...], keys: list[str]
) -> None:
    for key, tags in (("a-1", []), ("2", ["vip"]), ("order:a-1", [])):
        start(saga, Payload(), key=key, tags=tags)
    registry.register(other := flow([simple("pay", partner="bank")], name="other"))
    start(other, Payload(), key="waits")
    rows = said("runs", *words).splitlines()[1:]
    assert [row.split()[5] for row in rows] == keys


def test_a_partner_that_no_step_names_is_refused(saga: Definition) -> None:
    assert refused("runs", "--partner", "bnk") == "No step names a partner 'bnk'."


def test_a_part_of_several_ids_or_of_none_is_refused(saga: Definition) -> None:
    for number in (0xABCD << 112, (0xABCD << 112) + 1):
        Run.objects.create(
            id=UUID(int=number), saga="flow", version=1, business_key=str(number), payload={},
            status="pending",
        )  # fmt: skip
    assert "More than one run" in refused("run", "abcd")
    assert "No run has the key 'ffff', nor an id" in refused("run", "ffff")
    assert "runs --search 'abc'" in refused("run", "abc")
    assert "No run has the id" in refused("run", str(UUID(int=0)))
    assert refused("run", "z" * 36)


def test_runs_are_listed_newest_first_and_by_saga_and_status(saga: Definition) -> None:
    registry.register(other := flow(["a"], name="other"))
    driven(saga, Payload(), key="old")
    driven(other, Payload(refuse="a"), key="new")

    def keys(*options: str) -> list[str]:
        return [line.split()[-2] for line in said("runs", *options).splitlines()[1:]]

    assert keys() == ["new", "old"]
    assert keys("--saga", "flow") == ["old"]
    assert keys("--status", "compensated") == ["new"]
    assert keys("--limit", "1") == ["new"]


def test_runs_tell_what_started_them(saga: Definition) -> None:
    first = said("start", "flow", "--key", "by-hand")
    with starting(OriginKind.RUN, first):
        start(saga, Payload(), key="by-a-step")
    start(saga, Payload(), key="by-code")
    lines = said("runs").splitlines()[1:]
    assert [line.split("by-", 1)[1].split(None, 1) for line in lines] == [
        ["code", "code"],
        ["a-step", f"run {first}"],
        ["hand", f"command {Shell().get_username()}"],
    ]
    child = Run.objects.get(business_key="by-a-step")
    told = " ".join(said("run", str(child.id)).split())
    assert f"started by run {first}, run 2 of the chain that began with {first}" in told
    assert json.loads(said("run", str(child.id), "--json"))["root"] == first


# --- change --------------------------------------------------------------------------------


def test_a_run_is_started_once_by_its_key(saga: Definition) -> None:
    first = said("start", "flow", "--key", "order:1", "--payload", '{"number": 7}')
    assert Run.objects.get(id=first).payload["number"] == 7
    again = said("start", "flow", "--key", "order:1", "--payload", '{"number": 7}')
    assert again == f"{first} (this key had started it before)"
    assert "with another payload" in refused("start", "flow", "--key", "order:1")


def test_a_payload_may_come_from_a_file_or_from_standard_input(
    saga: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"number": 8}')
    from_file = said("start", "flow", "--key", "1", "--payload", f"@{file}")
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"number": 9}'))
    from_stdin = said("start", "flow", "--key", "2", "--payload", "-")
    payloads = Run.objects.in_bulk([from_file, from_stdin])
    assert [payloads[UUID(i)].payload["number"] for i in (from_file, from_stdin)] == [8, 9]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("{", "Invalid JSON"),
        ('{"number": "x"}', "number: "),
        ("[]", "payload: "),
        ('{"refuse": "\\u0000"}', "NUL"),
        ("@/nowhere/at/all", "cannot be read"),
        ("\udcff", "unicode"),
    ],
)
def test_a_bad_payload_is_refused_in_one_line(saga: Definition, payload: str, why: str) -> None:
    assert why in refused("start", "flow", "--key", "1", "--payload", payload)


def test_a_run_is_cancelled_or_the_refusal_names_its_state(saga: Definition) -> None:
    run_id = said("start", "flow", "--key", "1")
    why = ("--reason", "the customer left")
    assert said("cancel", run_id, *why) == f"Cancel: done. Run {run_id} is compensated."
    assert "it has succeeded" in refused("cancel", str(driven(saga, Payload(), key="2")), *why)


def test_a_signal_is_delivered_or_kept(db: None) -> None:
    with registry.isolated():
        waiting = flow([wait_for("approved", timeout=timedelta(days=1))])
        registry.register(waiting)
        driven(waiting, Payload(), key="order:1")
        assert "Delivered" in said("signal", "approved", "order:1", "--payload", '{"by": "Ada"}')
        assert "kept" in said("signal", "approved", "order:2", "--id", "1")
        for words in (("--payload", "{"), ("--payload", "NaN"), ("--payload", "[" * 100_000)):
            assert refused("signal", "approved", "order:1", *words)
        assert refused("signal", "", "order:1")
        assert refused("signal", "approved", "order:1", "--id", "x" * 300)


def test_a_token_is_made_for_a_user(db: None) -> None:
    user = User.objects.create_user("shop")
    assert user_of(said("token", "shop", "--days", "1")) == user
    assert "at most 90 days" in refused("token", "shop", "--days", "91")
    assert "There is no user 'nobody'" in refused("token", "nobody")
    User.objects.update(is_active=False)
    assert "not active" in refused("token", "shop")


def test_tokens_are_listed_and_revoked_one_by_one(db: None) -> None:
    User.objects.create_user("shop")
    for name in ("orders", "reports"):
        said("token", "shop", "--reason", name)
    listed = said("tokens")
    assert "orders" in listed
    orders, reports = ApiToken.objects.filter(user="shop").order_by("id")
    assert "of shop" in said("revoke-token", str(orders.pk), "--reason", "it leaked")
    assert "orders" not in said("tokens")
    assert str(reports.pk) in said("tokens")
    assert "revoked" in said("tokens", "--all")
    assert "already" in refused("revoke-token", str(orders.pk), "--reason", "x")
    entry = AuditEntry.objects.latest("number")
    assert (entry.verb, entry.subject) == ("revoke token", f"token {orders.pk}")
    assert entry.details["through"] == "the command line, not verified"


# --- as a process --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["show", "nothing"], "No saga is named 'nothing'"),
        (["run", "12345678"], "No run has the key"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    process_environment: dict[str, str], words: list[str], why: str
) -> None:
    done = _manage(process_environment, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"CommandError: .+\n", done.stderr)
    assert why in done.stderr


def test_an_absent_database_is_one_line_too(process_environment: dict[str, str]) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    done = _manage(process_environment | {"DATABASE_URL": nowhere}, "list")
    assert done.returncode == 1
    assert re.fullmatch(r"CommandError: OperationalError: .+\n", done.stderr)


def _manage(environment: dict[str, str], *words: str) -> Any:
    return subprocess.run(
        [sys.executable, "manage.py", "sagas", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
