"""The overview as it is drawn: on the app's page, and as a fragment that keeps it current."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from sagas.admin.badge import badge
from sagas.admin.hold import may_lift
from sagas.admin.living import living
from sagas.admin.rows import WHY, text
from sagas.admin.run_page.words import length
from sagas.admin.shown import line
from sagas.admin.sparkline import sparkline
from sagas.admin.when import address, ago
from sagas.conf import conf
from sagas.models import Hold, Run
from sagas.operate.access import Right, require
from sagas.operate.figures import SagaFigures
from sagas.operate.groups import ErrorGroup
from sagas.operate.outage import MANY, Outage
from sagas.operate.overview import SHOWN, Overview, overview
from sagas.signals import Health
from sagas.states import MOVING_RUNS, RunStatus
from sagas.wording import clock

_GLYPHS: Mapping[Health, str] = {
    Health.OK: "✓",
    Health.DEGRADED: "▲",
    Health.DOWN: "✕",
    Health.UNKNOWN: "?",
}


@dataclass(frozen=True, slots=True)
class Fragment:
    """The overview's markup, and the tag that changes when it does."""

    html: SafeString
    etag: str


def view(page: Any, request: HttpRequest) -> HttpResponseBase:
    """The fragment; 304 while nothing that is to be seen has changed."""
    require(request.user, Right.READ)
    drawn = fragment(request.user)
    return living(request, drawn.etag, lambda: HttpResponse(drawn.html))


def fragment(user: Any) -> Fragment:
    """Draw what a user may see."""
    context = _context(user, overview(user))
    parts = render_to_string("admin/sagas/overview/parts.html", context)
    etag = f'W/"{hashlib.sha256(parts.encode()).hexdigest()[:32]}"'
    frame = {
        "url": reverse("admin:sagas_run_overview"),
        "etag": etag,
        "parts": mark_safe(parts),  # a template's own output, escaped there  # noqa: S308
    }
    return Fragment(render_to_string("admin/sagas/overview/frame.html", frame), etag)


def _context(user: Any, seen: Overview) -> dict[str, Any]:
    runs = reverse("admin:sagas_run_changelist")
    unfinished = {status: _count(seen, status) for status in _UNFINISHED}
    return {
        "runs": runs,
        "errors": reverse("admin:sagas_run_errors"),
        "bulk": address("sagas_run_bulk") if user.has_perm(Right.BATCH) else "",
        "shown": SHOWN,
        "capped": seen.capped,
        "looked": seen.looked,
        "outages": [_outage(outage, seen.now) for outage in seen.outages],
        "states": [(status, badge(status), n) for status, n in unfinished.items()],
        "sagas": [_saga(saga) for saga in seen.sagas],
        "groups": [_group(group, seen.now) for group in seen.errors],
        "attention": [
            {**_run(run, seen.now), "age": _ago(seen.stopped.get(run.pk), seen.now)}
            for run in seen.attention
        ],
        "attention_count": unfinished[RunStatus.NEEDS_ATTENTION],
        "stuck": [
            {**_run(run, seen.now), "why": text(seen.reasons[run.pk], WHY)}
            for run in seen.stuck[:SHOWN]
        ],
        "more_stuck": len(seen.stuck) > SHOWN,
        "stuck_after": length(conf().STUCK_SECONDS),
        "queues": [{"of": queue, "oldest": _ago(queue.oldest, seen.now)} for queue in seen.queues],
        "workers": [
            {"of": w, "name": line(w.name), "queues": line(", ".join(w.queues))}
            for w in seen.workers
        ],
        "alive": sum(worker.alive for worker in seen.workers),
        "lost": sum(not worker.alive for worker in seen.workers),
        "holds": [
            {**_hold(user, held.hold, seen.now), "waiting": held.waiting} for held in seen.holds
        ],
        "holds_page": address("sagas_hold_changelist"),
        "approvals": [
            {
                "what": line(f"{asked.verb}, {asked.saga}"),
                "reason": text(asked.reason),
                "by": text(asked.asked_by),
                "age": ago(asked.asked_at, seen.now),
                "link": address("sagas_approval_change", asked.pk),
            }
            for asked in seen.approvals
        ],
        "approvals_page": address("sagas_approval_changelist"),
        "batches": [
            {
                "of": batch,
                "by": text(batch.created_by),
                "age": ago(batch.created_at, seen.now),
                "link": address("sagas_batch_change", batch.pk),
            }
            for batch in seen.batches
        ],
        "partners": [
            {
                "of": partner,
                "name": text(partner.name),
                "detail": text(partner.detail, _DETAIL),
                "glyph": _GLYPHS[partner.state],
            }
            for partner in seen.partners
        ],
    }


_DETAIL = 200  # characters: why a partner is down must be read to its end
_UNFINISHED = [
    RunStatus.NEEDS_ATTENTION.value,
    *(status.value for status in RunStatus if status in MOVING_RUNS),
]


def _group(group: ErrorGroup, now: datetime) -> dict[str, Any]:
    query = {"status": RunStatus.NEEDS_ATTENTION.value, "error_group": group.name}
    return {
        "name": line(group.name, 120),
        "count": group.count,
        "first": ago(group.first, now),
        "last": ago(group.last, now),
        "query": urlencode(query),
    }


def _count(seen: Overview, status: str) -> int:
    return sum(saga.unfinished.get(status, 0) for saga in seen.sagas)


def _saga(saga: SagaFigures) -> dict[str, Any]:
    rate = saga.rate
    return {
        "name": text(saga.name),
        "query": urlencode({"saga": saga.name}),
        "unfinished": [
            (status, badge(status), saga.unfinished[status])
            for status in _UNFINISHED
            if status in saga.unfinished
        ],
        "ended": sum(saga.ended),
        "spark": sparkline(saga.ended, saga.failed, line(saga.name)),
        "rate": "" if rate is None else f"{rate:.1%}",
        "failing": rate is not None and rate >= _MANY,
        "median": "" if saga.median is None else length(saga.median),
        "slow": "" if saga.slow is None else length(saga.slow),
    }


_MANY = 0.1


def _outage(outage: Outage, now: datetime) -> dict[str, Any]:
    query = {"partner": outage.partner}
    stopped = {**query, "status": RunStatus.NEEDS_ATTENTION.value}
    link = reverse("admin:sagas_run_change", args=[outage.through]) if outage.through else ""
    return {
        "of": outage,
        "partner": text(outage.partner),
        "why": text(outage.why, _DETAIL),
        "by": text(outage.by),
        "age": ago(outage.since, now) if outage.since else "",
        "since": clock(outage.since) if outage.since else "",
        "query": urlencode(query),
        "stopped": urlencode(stopped),
        "many": outage.waiting + outage.stopped >= MANY,
        "through": link,
        "until": clock(outage.until) if outage.until else "",
        "probe": clock(outage.probe_at) if outage.probe_at and outage.probe_at > now else "",
        "probes_now": outage.probe_at is not None and outage.probe_at <= now,
    }


def _run(run: Run, now: datetime) -> dict[str, Any]:
    return {
        "link": reverse("admin:sagas_run_change", args=[run.pk]),
        "key": text(run.business_key),
        "title": text(run.title),
        "saga": text(run.saga),
        "state": badge(run.status),
        "error": text(run.error_group, WHY),
        "owner": text(run.owner),
        "age": ago(run.created_at, now),
    }


def _hold(user: Any, hold: Hold, now: datetime) -> dict[str, Any]:
    page = address("sagas_hold_change", hold.pk)
    through = None
    if hold.probe is not None:
        link = reverse("admin:sagas_run_change", args=[hold.probe])
        through = {"link": link, "age": ago(hold.probed_at or hold.placed_at, now)}
    return {
        "kind": hold.kind,
        "target": text(hold.target),
        "link": page,
        "lift": page if may_lift(user, hold) else "",
        "reason": text(hold.reason),
        "by": text(hold.placer),
        "through": through,
        "until": clock(hold.ends_at) if hold.ends_at else "",
        "age": ago(hold.placed_at, now),
    }


def _ago(moment: datetime | None, now: datetime) -> SafeString | str:
    return ago(moment, now) if moment is not None else ""
