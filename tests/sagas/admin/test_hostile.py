"""Whatever strangers wrote is shown harmlessly, on every page that the console has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, reverse

from sagas.define import registry
from sagas.models import (
    Approval,
    Batch,
    BatchItem,
    Event,
    Hold,
    Run,
    SavedView,
    Scope,
    Signal,
    Step,
    Worker,
    uuid7,
)
from sagas.operate.audit import append
from sagas.operate.catalogue import VERBS
from tests.sagas.flows import flow, pivot, simple
from tests.sagas.stage import Known

pytestmark = pytest.mark.django_db

CORPUS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"'><img src=x onerror=alert(1)>",
    "closing": "</pre></td></bdi></title><svg onload=alert(1)>",
    "template": "{{ 7|add:7 }}{% now 'Y' %}",
    "right to left": "abc\u202egnp.exe \u2066\u05d0\u2069",
    "control": "a\x07\x1b[31mred\x1b[0m\x08\u2028\u200b",
    "address": "javascript:alert(1)",
    "megabyte": "x" * 1_000_000,
    "markup megabyte": "<b>" * 300_000,
    "surrogate escapes": "\\ud800 &lt;script&gt;",
}
_ACTIVE = re.compile(r"<(script>|img src=x|svg onload|b>)|href=[\"']?\s*javascript:", re.IGNORECASE)
_STEERING = re.compile("[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LARGEST = 900_000  # bytes of a page


def a_run(text: str, saga: str, names: tuple[str, ...]) -> tuple[Run, Step]:
    """A run that needs a person, with that text wherever a partner or a caller may write."""
    data = {"reason": text, "why": text, "by": text, text[:100]: text}
    known_as = registry.get("flow").fingerprint
    run = Run.objects.create(
        id=uuid7(), saga=saga, version=1, fingerprint=known_as, business_key=text[:200],
        payload={"note": text, text[:100]: [text]}, amended={"note": text},
        tags=[text[:40]], status="needs_attention", attention=text, error_group=text[:200],
        owner=text[:150],
    )  # fmt: skip
    for name, status in zip(names, ("succeeded", "failed", "unknown"), strict=False):
        step = Step.objects.create(
            run=run, name=name, direction="forward", position=0, status=status, error=text,
            result={"answer": text}, worker=text[:120], signal=text[:80], correlation=text[:200],
        )  # fmt: skip
        for old, new in (("ready", "in_flight"), ("in_flight", status)):
            Event.objects.create(
                run=run, step=name, direction="forward", old=old, new=new, attempt=1, epoch=1,
                worker=text[:120], data=data,
            )  # fmt: skip
    Event.objects.create(run=run, new=text[:16], epoch=1, data=data)
    return run, step


def written(text: str) -> dict[str, Any]:
    """Rows of every table with that text wherever somebody else may write. Gives their ids."""
    short = text[:80]
    at_work, _ = a_run(text, "flow", ("p", "b"))
    run, step = a_run(text, short, ("p", "b", short))  # the code for it is gone
    signal = Signal.objects.create(
        name=short, correlation=text[:200], payload={"x": text}, taken_by=step
    )
    worker = Worker.objects.create(
        name=text[:120], host=text[:255], pid=1, lease_until="2100-01-01T00:00Z",
        queues=[text[:200]],
    )  # fmt: skip
    holds = [
        Hold.objects.create(kind=kind, target=target, reason=text, placed_by=text[:150])
        for kind, target in (("queue", text[:200]), ("run", str(run.id)))
    ]
    append(
        actor=text, verb="retry", reason=text, run=run.id, saga="flow", step=short,
        before={"attention": text}, after={"attention": ""}, details={"step": short, "x": text},
    )  # fmt: skip
    append(actor=text, verb="hold", reason=text, subject=text)
    approval = Approval.objects.create(
        run=run.id, saga="flow", verb="skip", arguments={"step": short, "result": {"x": text}},
        reason=text, imprint="f", asked_by=text[:150], note=text,
    )  # fmt: skip
    batch = Batch.objects.create(
        verb="retry", arguments={"x": text}, reason=text, query=text, matched=1, rate=1,
        status="running", created_by=text[:150],
    )  # fmt: skip
    BatchItem.objects.create(batch=batch, run=run.id, key=text[:200], status="refused", detail=text)
    view = SavedView.objects.create(name=short, query=text[:2000], owner="root", shared=True)
    return {
        "run": run.id, "at work": at_work.id, "step": step.pk,
        "event": run.events.latest("id").pk, "signal": signal.pk,
        "worker": worker.pk, "hold": holds[0].pk, "approval": approval.pk, "batch": batch.pk,
        "auditentry": 1, "savedview": view.pk,
    }  # fmt: skip


def console_names() -> set[str]:
    """The names of all addresses that the console has in the admin."""
    return {
        str(pattern.name)
        for model, page in admin.site._registry.items()
        if model._meta.app_label == "sagas"
        for pattern in page.get_urls()
        if getattr(pattern, "name", None)
    }


#: Changes what is there, or is Django's own and leads nowhere for what is read only.
_NOT_SHOWN = {
    *("sagas_run_save_view", "sagas_run_delete_view"),
    *("sagas_batch_confirm", "sagas_batch_discard", "sagas_batch_stop"),
}


def addresses(ids: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every address with its name, filled in with these rows."""
    for name in sorted(console_names() - _NOT_SHOWN):
        table = name.split("_")[1]
        for arguments in _arguments(name, ids.get(table)):
            try:
                yield name, reverse(f"admin:{name}", args=arguments)
                break
            except NoReverseMatch:
                continue
        else:
            raise AssertionError(f"nobody knows what {name} wants")
    for run_id in (ids["run"], ids["at work"]):
        yield "sagas_run_change", reverse("admin:sagas_run_change", args=[run_id])
        for verb in VERBS:
            yield "sagas_run_do", reverse("admin:sagas_run_do", args=[run_id, verb])


def _arguments(name: str, pk: Any) -> list[list[Any]]:
    return [[], [pk], [pk, "retry"], [pk, "resolve"]]


@pytest.fixture
def root(client: Client, known: Known) -> Client:
    known(flow([pivot(simple("p")), "b"]))
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_no_page_of_the_console_is_harmed_or_harms(root: Client, text: str) -> None:
    ids = written(text)
    seen = set()
    for name, address in [*addresses(ids), ("overview", "/admin/sagas/"), ("index", "/admin/")]:
        answer = root.get(address)
        assert answer.status_code in (200, 302, 403), (name, answer.status_code)
        body = b"".join(answer) if answer.streaming else answer.content
        page = body.decode()
        seen.add(name)
        if answer["Content-Type"].startswith("text/html"):
            assert not _ACTIVE.search(page), (name, _ACTIVE.search(page))
            assert not _STEERING.search(page), (name, _STEERING.search(page))
            assert len(page) < _LARGEST, (name, len(page))
        else:
            assert answer.get("X-Content-Type-Options") == "nosniff", name
            assert "attachment" in answer.get("Content-Disposition", ""), name
    assert console_names() - _NOT_SHOWN <= seen
    assert not Scope.objects.exclude(saga=None).exists()


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_a_parameter_is_shown_harmlessly_too(root: Client, text: str) -> None:
    written("plain")
    part = text[:2000]
    for name in ("q", "saga", "status", "step", "error_group", "tag", "owner", "age", "since"):
        answer = root.get("/admin/sagas/run/", {name: part}, follow=True)
        assert answer.status_code == 200, (name, answer.status_code)
        page = answer.content.decode()
        assert not _ACTIVE.search(page), name
        assert not _STEERING.search(page), name
    run_id: UUID = Run.objects.latest("id").id
    answer = root.get(f"/admin/sagas/run/{run_id}/do/retry/", {"step": part}, follow=True)
    assert not _ACTIVE.search(answer.content.decode())


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_the_api_tells_it_as_data(root: Client, text: str) -> None:
    ids = written(text)
    answer = root.get(f"/api/runs/{ids['run']}")
    assert answer["Content-Type"].startswith("application/json")
    assert json.loads(answer.content)["key"] == text[:200]
