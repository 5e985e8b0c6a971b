"""The parts of the run's page, put together for its templates."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from sagas.admin.back import came_from, carried, list_of
from sagas.admin.run_page import tables
from sagas.admin.run_page.attempts import Attempt, attempts
from sagas.admin.run_page.coming import coming
from sagas.admin.run_page.facts import Facts, newest_events
from sagas.admin.run_page.gantt import gantt
from sagas.admin.run_page.graph import graph
from sagas.admin.run_page.headline import headline
from sagas.admin.run_page.payload import documents
from sagas.admin.run_page.undo import listed
from sagas.admin.run_page.verbs import bars
from sagas.define.preview import undo_preview
from sagas.models import Event, Run
from sagas.operate.access import Right, within
from sagas.operate.offer import offers

_ATTEMPTS, _EVENTS = 200, 500


class Parts:
    """The living parts of a run's page, which are served anew while it is looked at.

    Attributes:
        back: the filter of the list that one came from.
        etag: another one whenever something that is to be seen has changed.
    """

    def __init__(self, request: HttpRequest, facts: Facts) -> None:
        self.facts = facts
        self._head = headline(facts)
        self._coming = coming(facts)
        self._acts = _may_act(request, facts)
        self.back = came_from(request)
        self.etag = self._etag(request)

    def context(self, events: Sequence[Event]) -> dict[str, Any]:
        """What the template of the fragment shows.

        Args:
            events: the run's newest.
        """
        run = self.facts.run
        offered = offers(self.facts.view) if self._acts else []
        return {
            "url": carried(reverse("admin:sagas_run_live", args=[run.id]), self.back),
            "etag": self.etag,
            "final": self.facts.over,
            "run": run,
            "head": self._head,
            "coming": self._coming,
            "offers": offered,
            "bars": bars(run.id, offered, self.back),
            "graph": graph(self.facts.saga, self.facts.view),
            "drawn_from_rows": self.facts.saga is None,
            "steps": tables.steps(self.facts),
            **_timeline(self.facts, events),
            "preview": self._preview(),
        }

    def _preview(self) -> Any:
        saga = self.facts.saga
        return None if saga is None else listed(undo_preview(saga, self.facts.view))

    def _etag(self, request: HttpRequest) -> str:
        """From facts, not from the page: a page that need not be drawn is not drawn."""
        run, steps = self.facts.run, self.facts.steps
        seen = (
            *(
                request.user.pk,
                self._acts,
                run.id,
                run.revision,
                run.status,
                self._head,
                self._coming,
            ),
            *(self.facts.reveal, [hold.pk for hold in self.facts.holds]),
            [(s.pk, s.status, s.attempt, s.tries, s.due_at, s.limit_at, s.error) for s in steps],
        )
        return f'"{sha256(repr(seen).encode()).hexdigest()[:32]}"'


def page(request: HttpRequest, parts: Parts, document: Run) -> dict[str, Any]:
    """What the template of the whole page shows.

    Args:
        document: the run with its payload.
    """
    facts = parts.facts
    newest = newest_events(facts.run.id)
    return {
        "live": parts.context(newest),
        "back": parts.back,
        "list": list_of(parts.back),
        "documents": documents(document, revealed=facts.reveal),
        "payload_url": reverse("admin:sagas_run_payload", args=[facts.run.id]),
        "events": tables.events(facts, newest[-_EVENTS:]),
        "events_cut": len(newest) > _EVENTS,
        "events_url": _events_url(facts),
        "people": tables.people(facts),
    }


def _may_act(request: HttpRequest, facts: Facts) -> bool:
    user = request.user
    may = user.has_perm(Right.CHANGE) and within(user, Right.CHANGE, facts.run.saga)
    return may and not facts.over


def _timeline(facts: Facts, events: Sequence[Event]) -> dict[str, Any]:
    made = attempts(events)
    total = sum(step.attempt for step in facts.steps)
    drawn: list[Attempt] = made[-_ATTEMPTS:]
    return {
        "gantt": gantt(drawn, facts.run.created_at, None if facts.over else facts.now),
        "attempts": tables.attempts(facts, drawn),
        "attempts_total": total,
        "attempts_cut": total > len(drawn),
        "events_url": _events_url(facts),
    }


def _events_url(facts: Facts) -> str:
    return f"{reverse('admin:sagas_event_changelist')}?run__id__exact={facts.run.id}"
