"""Personal data planted wherever texts come in: on no surface for who may not reveal it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from typing import Annotated, Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.test.utils import override_settings
from django.urls import URLPattern, reverse
from pydantic import BaseModel, field_validator

from integrations.errors import PartnerRefused, PartnerUnknown
from integrations.models import PartnerObject, WebhookEvent
from integrations.webhooks import inbox
from integrations.webhooks.received import Event as Told
from integrations.webhooks.sources import SOURCES
from integrations.webhooks.work import work
from sagas.api import Redacted, Refused, RetryLater, Run, Unknown, pivot, step, wait_for
from sagas.conf import conf
from sagas.define import registry
from sagas.define.mask import masked_text
from sagas.define.redact import matcher
from sagas.define.saga import Definition
from sagas.define.step import Errors
from sagas.models import AuditEntry, Batch, Event, Original, Step
from sagas.models import Run as RunRow
from sagas.operate.bulk import draft
from sagas.operate.catalogue import VERBS, carry_out
from sagas.operate.groups import error_groups
from sagas.operate.instruction import instruction
from sagas.operate.retry import Retry
from sagas.operate.signal import send_signal
from sagas.run.start import start
from sagas.views.api import api
from tests.integrations.webhooks.inboxes import handling
from tests.project.test_sentry import reporting
from tests.sagas.driven import carry_on
from tests.sagas.views.callers import Caller

pytestmark = pytest.mark.django_db

#: Each kind as it stands in documents and errors. No word of them is any other text's.
VALUES = {
    "first_and_last": "Erika Mustermannova",
    "particle": "Ludwig van der Quastenhof",
    "apostrophe": "Siobhan O'Quillfeather",
    "hyphen": "Anne-Sophie Zwirbelmoser",
    "umlaut": "Jürgen Größenwahn",
    "other_script": "田中太郎",
    "arabic": "محمد الفاسي",
    "capitals": "HEINRICH ZOTTELBART",
    "user": "zottelbart77",
    "birth_iso": "1984-03-12",
    "birth_dots": "12.03.1984",
    "birth_slashes": "03/12/1984",
    "birth_words": "17 Thermidor 1984",
    "passport_de": "C01X00T478",
    "passport_us": "E00009349",
    "passport_gb": "925665416",
    "identity_card": "L01X00T47",
    "licence": "B072RRE2I55",
    "ssn": "078-05-1120",
    "nino": "QQ123456C",
    "tax_de": "12/345/67890",
    "tax_id": "86095742719",
    "vat": "DE136695976",
    "iban": "DE89370400440532013000",
    "iban_spaced": "GB82 WEST 1234 5698 7654 32",
    "account": "532013000",
    "bic": "COBADEFFXXX",
    "card": "4111111111111111",
    "card_spaced": "5500 0000 0000 0004",
    "card_dashes": "3782-822463-10005",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJxdWFzdGUifQ.c2lnbmF0dXJlcXVhc3Rl",
    "bearer": "sk_live_51Hquaste9zL",
    "cookie": "sessionid=8q2w7e6r5t4z",
    "password": "Tr0ub4dor&3",
    "email": "erika.mustermannova@quaste.example",
    "email_plus": "zottel+bart@quaste.example",
    "phone_plus": "+49 170 8765432",
    "phone_local": "0170 87 65 43 2",
    "street": "Lindenquastenstraße 57",
    "street_first": "Rue de la Quastenpompe 12, 75004 Quastenheim",
}
BAD = "the planted error"


class Customer(BaseModel):
    """What a step parses, so that pydantic quotes what does not fit."""

    number: int = 0
    checked: str = ""

    @field_validator("checked")
    @classmethod
    def _check(cls, value: str) -> str:
        raise ValueError(f"nobody is called {value}")


class Corpus(BaseModel):
    """A payload that holds values in each way that one can be declared, or not be."""

    how: str = ""
    quoting: Annotated[list[str], Redacted] = []
    last_name: str = ""
    anything: dict[str, Any] = {}


class Answer(BaseModel):
    """A result that does so."""

    number: int
    holder: Annotated[str, Redacted]
    more: dict[str, Any]


def _raise(how: str, text: str, values: list[str]) -> Any:
    match how:
        case "value error":
            raise ValueError(f"no account for {text}")
        case "first word":
            raise ValueError(f"{text} is unknown")
        case "pydantic":
            return Customer.model_validate({"number": text, "checked": text, text: 1})
        case "partner":
            raise PartnerRefused("payments", "capture", f"answered 402: no such payer: {text}")
        case "unknown":
            raise PartnerUnknown("payments", "capture", f"no answer about {text}")
        case "key error":
            raise KeyError(text)
        case "cause":
            error = RuntimeError(f"it failed for {text}")
            error.add_note(f"note: {text}")
            raise error from ValueError(text)
        case "refused":
            return Refused(f"we do not serve {text}")
        case "unknown outcome":
            return Unknown(f"nobody answers about {text}")
        case "later":
            raise RetryLater(f"ask again for {text}")
        case "json":
            raise ValueError(json.dumps({"name": text, "told": values}))
        case "repr":
            raise LookupError(f"not in {[Answer(number=1, holder=text, more={})]!r}")
        case "result":
            return {"a": {text: object()}}
    raise AssertionError(how)


FORMS = (
    *("value error", "first word", "pydantic", "partner", "unknown", "key error", "cause"),
    *("refused", "unknown outcome", "later", "json", "repr", "result"),
)
QUOTED: dict[str, list[str]] = {}  # what the error of a run quotes, by its key


@step(harmless=True)
def look_up(run: Run[Corpus]) -> dict[str, Any]:
    return {"status": "found", "told": run.payload.anything, "quoting": run.payload.quoting}


@step
def register(run: Run[Corpus]) -> Answer:
    payload = run.payload
    return Answer(number=7, holder=" ".join(payload.quoting), more=payload.anything)


@register.compensate
def unregister(run: Run[Corpus]) -> None:
    return None


@pivot
@step
def settle(run: Run[Corpus]) -> None:
    return None


@step(partner="payments")
def tell(run: Run[Corpus]) -> Any:
    values = QUOTED[run.business_key]
    return _raise(run.payload.how, "; nor for ".join(values), values)


_SAGA = "corpus"
_ERRORS = Errors(refused=(ValueError, PartnerRefused, LookupError), retry=RuntimeError)
_SOME = 8  # values in one error
_GROUPS = len(VALUES) // _SOME


@dataclass
class Planted:
    """What was planted, and what was logged and reported on the way."""

    runs: list[UUID] = field(default_factory=list)
    logged: io.StringIO = field(default_factory=io.StringIO)
    reported: bytes = b""

    @property
    def few(self) -> list[UUID]:
        """One for each way to fail, and all whose documents hold what they quote."""
        return [*self.runs[:: _GROUPS + 1], *self.runs[-_GROUPS:]]


def planted() -> Planted:
    """Runs, signals, webhooks, verbs, batches and requests full of personal data."""
    made, handler = Planted(), logging.StreamHandler()
    handler.stream, root = made.logged, logging.getLogger()
    handler.setFormatter(logging.Formatter("%(message)s %(args)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with reporting() as kept, redirect_stdout(made.logged), redirect_stderr(made.logged):
            _plant_runs(made)
            _plant_faults(made)
            _plant_signals()
            _plant_webhooks()
            _plant_verbs(made)
        made.reported = kept.sent
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return made


def _plant_runs(made: Planted) -> None:
    values = list(VALUES.values())
    groups = [values[i : i + _SOME] for i in range(0, len(values), _SOME)]
    for how in FORMS:  # of values that stand in no document of the run
        made.runs += [_run(how, group) for group in groups]
    for number, group in enumerate(groups):
        how = FORMS[number % len(FORMS)]
        told = {f"field_{n}": value for n, value in enumerate(group)}
        by_name = {VALUES["first_and_last"]: 1, VALUES["email"]: 2, VALUES["iban"]: 3}
        anything = {**told, "list": group, "deep": {"other": told}, "by_name": by_name}
        made.runs.append(_run(how, group, quoting=group, last_name=group[0], anything=anything))


def _plant_faults(made: Planted) -> None:
    """What the planner raises is logged, and counted like an attempt."""
    text = "; nor for ".join(VALUES.values())
    with patch("sagas.define.plan.settle", side_effect=ValueError(f"no plan for {text}")):
        made.runs.insert(0, _run("value error", list(VALUES.values())[:_SOME]))


def _run(how: str, values: list[str], **payload: Any) -> UUID:
    key = f"corpus:{len(QUOTED)}"
    QUOTED[key] = values
    run_id = start(_SAGA, Corpus(how=how, **payload), key=key).id
    carry_on(run_id)
    return run_id


def _plant_signals() -> None:
    told = {"told": list(VALUES.values()), **VALUES, "status": "Erika Mustermannova"}
    send_signal("nobody.waits", "nobody", told)
    send_signal("come", "nobody", told, saga="waiting")
    run_id = start("waiting", Corpus(), key="waiting:1").id
    carry_on(run_id)
    send_signal("come", "waiting:1", told)
    carry_on(run_id)


def _plant_webhooks() -> None:
    told = {"id": "evt_1", "type": "a.kind", "data": {"object": {**VALUES, "status": VALUES}}}

    def fail(event: Told, document: Any) -> str:
        raise ValueError(" ".join(VALUES.values()))

    with handling(fail):
        for source in SOURCES:
            inbox.keep([Told(source, f"evt_{source}", "a.kind", json.dumps({**told, **VALUES}))])
        work()
    state = {"email": "erika.mustermannova@quaste.example", "plan": VALUES}
    PartnerObject.objects.create(
        source="payments", subject="sub_1", state=state, as_of="2026-01-01T00:00Z", told_by="evt_1"
    )


def _plant_verbs(made: Planted) -> None:
    root = User.objects.create_superuser("root")
    stopped = list(RunRow.objects.filter(status="needs_attention").order_by("id"))
    payload = {"how": "refused", "quoting": list(VALUES.values()), "anything": dict(VALUES)}
    carry_out(stopped[0].id, Retry(step="tell", payload=payload), by=root, reason="mended")
    with override_settings(SAGAS={"FOUR_EYES": {"*": ["retry", "change-input"]}}):
        asked = carry_out(
            stopped[1].id, Retry(step="tell", payload=payload), by=root, reason="mended"
        )
    assert asked.approval is not None
    batch = draft(RunRow.objects.all(), instruction("retry", {}), by=root, reason="mended")
    assert batch.items.exists()


# --- surfaces ------------------------------------------------------------------------------


Surface = Iterator[tuple[str, str]]  # where, and what is shown there


def _rights(*, reveals: bool) -> User:
    """Somebody who may do everything with the record but reveal; or that too."""
    user = User.objects.create_user("keeper" if reveals else "viewer", is_staff=True)
    rights = Permission.objects.filter(content_type__app_label__in=("sagas", "integrations"))
    user.user_permissions.set(rights if reveals else rights.exclude(codename="reveal_run"))
    return user


def _seen(client: Client, url: str, status: set[int]) -> tuple[str, str]:
    response: Any = client.get(url)
    assert response.status_code < 500, url
    status.add(response.status_code)
    chunks = response.streaming_content if response.streaming else [response.content]
    return url, b"".join(chunks).decode()


def _admin_pages(viewer: User, made: Planted) -> Surface:
    """Each page of the admin that tells of the record: its addresses are found, not listed."""
    client = Client()
    client.force_login(viewer)
    for model, site in admin.site._registry.items():
        if model._meta.app_label != "sagas" and model not in (WebhookEvent, PartnerObject):
            continue
        for pattern in site.get_urls():
            if isinstance(pattern, URLPattern) and pattern.name is not None:
                yield from _pages(client, pattern, model, made)


def _pages(client: Client, pattern: URLPattern, model: Any, made: Planted) -> Surface:
    status: set[int] = set()
    for given in _arguments(pattern, model, made):
        url = reverse(f"admin:{pattern.name}", kwargs=given)
        yield _seen(client, url, status)
        for query in _QUERIES.get(pattern.name or "", ()):
            yield _seen(client, f"{url}?{query}", status)
    forbids = ("add", "delete", "change")  # the record is written by the engine alone
    assert 200 in status or (pattern.name or "").endswith(forbids) or not status & {200}, pattern


_MOST = 12  # pages of one table that are opened; the record itself is a surface, read whole
_QUERIES = {
    "sagas_run_changelist": ("status=needs_attention", "q=corpus"),
    "sagas_run_export": ("format=csv", "format=jsonl"),
}


def _arguments(pattern: URLPattern, model: Any, made: Planted) -> list[dict[str, Any]]:
    names = set(pattern.pattern.converters)
    if not names:
        return [{}]
    if names == {"object_id"}:
        rows = model.objects.order_by("-pk").values_list("pk", flat=True)
        return [{"object_id": pk} for pk in rows[:_MOST]]
    if names == {"run_id"}:
        return [{"run_id": run_id} for run_id in made.few]
    if names == {"run_id", "name"}:
        few = RunRow.objects.filter(status="needs_attention").values_list("pk", flat=True)[:4]
        return [{"run_id": run_id, "name": name} for run_id in few for name in VERBS]
    if names == {"batch_id"}:
        return [{"batch_id": pk} for pk in Batch.objects.values_list("pk", flat=True)]
    others = {"app_label", "url", "content_type_id", "view_id", "approval_id", "hold_id"}
    assert names <= others, f"say how to open {pattern}"
    return []


def _api(viewer: User, made: Planted) -> Surface:
    """Each address of the API that is read."""
    caller, status = Caller(viewer), set[int]()
    for path, operations in api.get_openapi_schema()["paths"].items():
        if "get" not in operations:
            continue
        for url in _filled(path, made):
            yield _seen(caller.client, url, status)
            assert status == {200}, url


def _filled(path: str, made: Planted) -> list[str]:
    match re.findall(r"{(\w+)}", path):
        case []:
            return [path, f"{path}?status=needs_attention"] if path == "/api/runs" else [path]
        case ["run_id"]:
            return [path.format(run_id=run_id) for run_id in made.runs]
        case ["name"]:
            return [path.format(name=_SAGA)]
        case ["batch_id"]:
            return [path.format(batch_id=pk) for pk in Batch.objects.values_list("pk", flat=True)]
    raise AssertionError(f"say how to read {path}")


def _commands(viewer: User, made: Planted) -> Surface:
    words = ["list", "runs", "verify", "holds", "requests", "check-deploy"]
    for told in [*([word] for word in words), ["show", _SAGA], ["signals", "--unclaimed"]]:
        yield " ".join(told), _said("sagas", *told)
    for run_id in made.runs:
        yield f"run {run_id}", _said("sagas", "run", str(run_id))
        yield f"run {run_id} --json", _said("sagas", "run", str(run_id), "--json")
    for word in ("count", "dead"):
        yield f"webhooks {word}", _said("webhooks", word)


def _said(*words: str) -> str:
    out = io.StringIO()
    with suppress(SystemExit):
        call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def _logs(viewer: User, made: Planted) -> Surface:
    for told in ("forward tell, attempt 1: ValueError", "could not be planned", "no plan for •••"):
        assert told in made.logged.getvalue()
    yield "logs", made.logged.getvalue()
    assert "could not be planned" in made.reported.decode()
    yield "Sentry", made.reported.decode()


def _record(viewer: User, made: Planted) -> Surface:
    """What the record itself holds, whatever surface may be made of it."""
    for run in RunRow.objects.all():
        yield f"run {run.pk}", f"{run.attention} {run.error_group} {run}"
    for row in Step.objects.all():
        yield f"step {row.pk}", f"{row.error} {row.correlation} {row}"
    for event in Event.objects.all():
        yield f"event {event.pk}", json.dumps(event.data)
    for told in WebhookEvent.objects.all():
        yield f"webhook {told.pk}", told.note
    yield "groups", str(error_groups(None, most=1_000))


SURFACES = {
    "record": _record,
    "admin": _admin_pages,
    "API": _api,
    "commands": _commands,
    "logs": _logs,
}


# --- claims --------------------------------------------------------------------------------


@pytest.fixture
def sagas() -> Iterator[None]:
    QUOTED.clear()
    waits = wait_for("come", timeout=timedelta(days=1))
    with registry.isolated():
        steps = [look_up, register, settle, tell]
        registry.register(Definition(_SAGA, payload=Corpus, steps=steps, errors=_ERRORS))
        registry.register(Definition("waiting", payload=Corpus, steps=[waits]))
        yield


@pytest.fixture
def made(sagas: None) -> Planted:
    return planted()


def found(text: str) -> set[str]:
    """Which values a text holds, or a telling part of."""
    with suppress(UnicodeDecodeError):
        text = unescape(text) + re.sub(
            r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), text
        )
    return {kind for kind, parts in PARTS.items() if any(part in text for part in parts)}


def _parts(value: str) -> set[str]:
    """The value, and its words that tell something."""
    words = re.split(r"[\s@.,&;+]+", value)
    telling = [word for word in words if len(word) >= 5 and not word.islower()]
    return {value, *(word for word in telling if not word.isdigit() or len(word) > 5)}


PARTS = {kind: _parts(value) for kind, value in VALUES.items()}


def test_there_are_forty_kinds_that_do_not_hold_each_other() -> None:
    assert len(VALUES) == 40
    assert len(set(VALUES.values())) == 40


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("text", ["no account for {}", "{} is unknown", "it said: {}.", "a={}"])
def test_a_text_that_quotes_a_value_shows_nothing_of_it(kind: str, text: str) -> None:
    shown = masked_text(text.format(VALUES[kind]), named=matcher(conf().REDACT))
    assert not found(shown)


@pytest.mark.parametrize("surface", SURFACES)
def test_planted_personal_data_is_on_no_surface_for_who_may_not_reveal(
    surface: str, made: Planted
) -> None:
    pages = list(SURFACES[surface](_rights(reveals=False), made))
    leaks = {where: kinds for where, text in pages if (kinds := found(text))}
    assert not leaks, f"{len(leaks)} of {len(pages)}"
    assert len(pages) > 1


def test_who_reveals_sees_all_of_it_and_is_in_the_audit(made: Planted) -> None:
    """Else the corpus would be empty, and nothing would be found because nothing was planted."""
    keeper, client, seen = _rights(reveals=True), Client(), [set[str](), set[str]()]
    client.force_login(keeper)
    caller = Caller(keeper)
    for run_id in made.runs[1 : _GROUPS + 1]:  # of errors alone: no document of theirs holds them
        page = reverse("admin:sagas_run_change", args=[run_id])
        seen[0] |= found(client.get(page).content.decode())
        seen[1] |= found(caller.get(f"/api/runs/{run_id}/results").content.decode())
        entries = AuditEntry.objects.filter(verb="reveal", run=run_id)
        through = sorted(entry.details.get("through", "a page") for entry in entries)
        assert [how[:5] for how in through] == ["a pag", "token"]
    assert seen == [VALUES.keys()] * 2


def test_what_was_said_is_kept_for_those_who_may_reveal_it(made: Planted) -> None:
    kept = " ".join(Original.objects.values_list("text", flat=True))
    assert found(kept) == VALUES.keys()


def test_two_customers_failures_of_one_kind_are_one_group(sagas: None) -> None:
    runs = [_run("value error", [VALUES[kind]]) for kind in ("umlaut", "email", "iban", "card")]
    groups = RunRow.objects.filter(pk__in=runs).values_list("error_group", flat=True)
    assert set(groups) == {"tell: value error: no account for •••"}
