"""The parts of a batch's page that change while it runs, and what the page around them needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from django.apps import apps
from django.core.paginator import Page, Paginator
from django.db.models import Count
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from sagas.admin.badge import badge, mark
from sagas.admin.history import run_link
from sagas.admin.rows import text
from sagas.admin.run_page.words import length
from sagas.admin.shown import as_line, cleaned, line, shown
from sagas.admin.when import address
from sagas.models import Batch, BatchItem, BatchStatus, ItemStatus
from sagas.operate import reveal
from sagas.operate.access import Right, scope
from sagas.operate.batch_outlook import batch_outlook
from sagas.operate.catalogue import VERBS
from sagas.operate.tally import ANSWERS, StateNow, Tally, followed, summary, tally
from sagas.states import RunStatus

T = TypeVar("T")

PER_PAGE = 100
_LATELY = timedelta(seconds=10)
_LONGEST_ADDRESS = 4000
#: A shape for each word of an answer or of a batch, and for a run that is gone.
_GLYPHS = {
    "ready": "◔",
    "unfit": "⊘",
    "accepted": "→",
    "asked": "◷",
    "refused": "✕",
    "failed": "!",
    "draft": "◌",
    "running": "▶",
    "stopped": "■",
    "finished": "⚑",
    "removed": "∅",
}


def batch_badge(batch: Batch) -> SafeString:
    """A batch's status in a word, a shape and a colour; none says how its runs go on."""
    return _badge(BatchStatus(batch.status).word)


def answer_badge(answer: ItemStatus) -> SafeString:
    """What a batch was answered for a run, in a word, a shape and a colour."""
    return _badge(answer.word, ANSWERS[answer])


def now_badge(state: StateNow) -> SafeString:
    """Where a run stands now, in words, a shape and a colour."""
    if state is StateNow.REMOVED:
        return _badge(state)
    return badge(RunStatus.NEEDS_ATTENTION if state is StateNow.FAILED_AGAIN else state, state)


def _badge(word: str, said: str = "") -> SafeString:
    return mark(f"batch-{word}", _GLYPHS[word], said or word)


class Parts:
    """One look at a batch, for the page or for the parts of it that are polled."""

    def __init__(self, request: HttpRequest, batch: Batch) -> None:
        self._request, self._batch = request, batch
        self._tally = tally(batch)
        self._answer = _chosen(request, "status", {answer.word: answer for answer in ItemStatus})
        self._now = _chosen(request, "now", {state.value: state for state in StateNow})

    @property
    def title(self) -> str:
        """The headline of the page."""
        kind = VERBS.get(self._batch.verb)
        label = kind.label if kind is not None else line(self._batch.verb)
        return f"{label}: {self._tally.total:,} run{'' if self._tally.total == 1 else 's'}"

    @property
    def final(self) -> bool:
        """Whether nothing changes any more by itself."""
        return self._batch.status != BatchStatus.RUNNING and self._tally.settled

    @property
    def url(self) -> str:
        """Where the parts are polled: the same items as on the page."""
        where = reverse("admin:sagas_batch_live", args=[self._batch.pk])
        return f"{where}?{self._only}&p={self._page.number}"

    @property
    def _only(self) -> str:
        """Which items are shown, as a part of the address."""
        now = self._now or ""
        return urlencode({"status": self._answer.word if self._answer else "", "now": now})

    @cached_property
    def html(self) -> SafeString:
        """The parts themselves."""
        return render_to_string("admin/sagas/batch/parts.html", self._context())

    @cached_property
    def etag(self) -> str:
        """Differs when the parts do."""
        return f'W/"{sha256(self.html.encode()).hexdigest()[:32]}"'

    def frame(self) -> dict[str, Any]:
        """What the page around the parts needs."""
        batch, user = self._batch, self._request.user
        kind = VERBS.get(batch.verb)
        mine = user.get_username() == batch.created_by
        return {
            "live": self,
            "batch": batch,
            "verb": kind,
            "summary": kind.explained("") if kind is not None else "",
            "arguments": self._arguments(),
            "reason": cleaned(batch.reason),
            "query": line(_filter(batch), 200),
            "runs": f"{reverse('admin:sagas_run_changelist')}?{_query(batch)}",
            "by": line(batch.created_by),
            "ready": self._tally.counts[ItemStatus.READY],
            "is_draft": (is_draft := batch.status == BatchStatus.DRAFT),
            "outlook": [cleaned(told, 1000) for told in batch_outlook(batch)] if is_draft else [],
            "is_mine": mine and user.has_perm(Right.BATCH) and user.has_perm(Right.CHANGE),
            "more": batch.matched > self._tally.total,
            "audit": address("sagas_auditentry_changelist"),
        }

    def _arguments(self) -> list[tuple[str, str]]:
        """What the verb is told; its result for those who may reveal it, of whatever saga."""
        user, batch = self._request.user, self._batch
        everywhere = scope(user, Right.REVEAL) is None
        holds = bool(reveal.DOCUMENTS & batch.arguments.keys())
        shows = holds and everywhere and reveal.revealing(user, "", subject=f"batch {batch.pk}")
        told = reveal.told(batch.arguments, "", "", reveal=shows)
        return [(name, _told(value)) for name, value in told.items()]

    def _context(self) -> dict[str, Any]:
        batch, told = self._batch, self._tally
        return {
            "batch": batch,
            "badge": batch_badge(batch),
            "summary": summary(batch, told),
            "following": not self.final,
            "again": told.now[StateNow.FAILED_AGAIN],
            "stopped_by": line(batch.stopped_by),
            "rate": f"{batch.rate:g}",
            "running": batch.status == BatchStatus.RUNNING,
            "draft": batch.status == BatchStatus.DRAFT,
            "may_stop": self._request.user.has_perm(Right.BATCH),
            "tally": told,
            "percent": 100 * told.answered // told.tried if told.tried else 100,
            "left": _left(batch, told),
            "pace": self._pace(),
            "reasons": [(answer_badge(r.status), _reason(r)) for r in told.reasons],
            "result": self._result(),
            "all": not (self._answer or self._now),
            "states": [
                (state.value, now_badge(state), n, state is self._now)
                for state, n in told.now.items()
                if n
            ],
            "answers": [
                (answer.word, answer_badge(answer), told.counts[answer], answer is self._answer)
                for answer in ANSWERS
                if told.counts[answer]
            ],
            "only": self._only,
            "page": self._page,
            "items": [_row(item) for item in self._page],
        }

    @cached_property
    def _page(self) -> Page[BatchItem]:
        items = followed(self._batch.items.order_by("id"))
        items = items if self._answer is None else items.filter(status=self._answer)
        if self._now is not None:
            items = items.filter(status=ItemStatus.ACCEPTED, now=self._now)
        return Paginator(items, PER_PAGE).get_page(self._request.GET.get("p"))

    def _pace(self) -> str:
        """How many were done in the last seconds, while it runs."""
        if self._batch.status != BatchStatus.RUNNING:
            return ""
        lately = self._batch.items.filter(at__gt=Now() - _LATELY).order_by()
        done = lately.aggregate(count=Count("id"))["count"]
        return f"{done / _LATELY.total_seconds():.3g}"

    def _result(self) -> str:
        """The address of the task's result, where it is kept and may be seen."""
        may = self._request.user.has_perm("django_celery_results.view_taskresult")
        if not (self._batch.task_id and may and apps.is_installed("django_celery_results")):
            return ""
        from django_celery_results.models import TaskResult

        found = TaskResult.objects.filter(task_id=self._batch.task_id).values_list("pk", flat=True)
        pk = found.first()
        name = "admin:django_celery_results_taskresult_change"
        return reverse(name, args=[pk]) if pk is not None else ""


def _left(batch: Batch, told: Tally) -> str:
    """How long the rest takes at its rate."""
    left = told.counts[ItemStatus.READY]
    return length(left / batch.rate) if left else ""


def _query(batch: Batch) -> str:
    return iri_to_uri(batch.query[:_LONGEST_ADDRESS])


def _filter(batch: Batch) -> str:
    """The filter as people read it."""
    return ", ".join(f"{name}: {value}" for name, value in parse_qsl(batch.query)) or batch.query


def _reason(reason: Any) -> dict[str, Any]:
    examples = [line(key, 40) for key in reason.examples]
    return {"count": reason.count, "detail": cleaned(reason.detail, 300), "examples": examples}


def _row(item: Any) -> dict[str, Any]:
    now = StateNow(item.now)
    key = item.key or "(empty)"
    return {
        "run": shown(key, 80) if now is StateNow.REMOVED else run_link(item.run, key),
        "title": text(item.title),
        "step": line(item.step, 100),
        "now": now_badge(now),
        "group": cleaned(item.group or "", 300),
        "badge": answer_badge(item.answer),
        "detail": cleaned(item.why, 300),
        "at": item.at,
    }


def _chosen(request: HttpRequest, name: str, values: Mapping[str, T]) -> T | None:
    return values.get(request.GET.get(name, ""))


def _told(value: Any) -> str:
    return line(value if isinstance(value, str) else as_line(value), 200)
