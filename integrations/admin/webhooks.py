"""Webhook events in the admin: to read, and to have handled again what was given up or ignored."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.models import PartnerObject, WebhookEvent
from integrations.webhooks.models import EventStatus
from integrations.webhooks.redaction import visible
from integrations.webhooks.replay import AGAIN, RIGHT, replay
from integrations.webhooks.sources import SOURCES
from sagas.admin.history import HistoryAdmin, moment, pretty, sees_all
from sagas.admin.shown import line
from sagas.errors import VerbRefused
from sagas.operate.access import Right, within

_MARKS = {
    EventStatus.RECEIVED: "… waits",
    EventStatus.DONE: "✓ done",
    EventStatus.IGNORED: "· ignored",
    EventStatus.DEAD: "✗ dead letter",
}


class ReplayForm(ActionForm):
    """The list's choice of an action, and why."""

    reason = forms.CharField(required=False, max_length=2000, label="Why:")


class _OfSources(HistoryAdmin):
    """What partners told, for those who may see the runs that it is about."""

    def saga_of(self, row: Any) -> str:
        known = SOURCES.get(row.source)
        return known.saga if known is not None else ""

    def get_object(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """The row, of which ``within`` then tells whether whoever asks may see its saga's runs."""
        row: Any = super().get_object(request, *args, **options)
        if row is not None:
            row.within = within(request.user, Right.READ, self.saga_of(row))
        return row

    def told(self, row: Any, document: Any) -> SafeString:
        """A document, as far as whoever asks may see it."""
        seen = {"reveal": sees_all(row), "within": row.within}
        return pretty(visible(row.source, document, **seen))


@admin.register(WebhookEvent)
class WebhookEventAdmin(_OfSources):
    """Events, the newest first; the filter "dead" lists the dead letters."""

    list_display = ("name", "state", "because", "source", "kind", "attempts", "received")
    list_display_links = ("name",)
    list_filter = ("status", "source")
    large = ("body",)
    search_fields = ("=event_id",)
    search_help_text = "an event's whole id"
    ordering = ("-id",)
    fields = (
        *("source", "event_id", "kind", "state", "note", "coming", "attempts", "due"),
        *("occurred", "received", "finished", "document"),
    )
    readonly_fields = fields
    actions: Any = ("handle_again",)
    action_form = ReplayForm

    class Media:
        css: ClassVar = {"all": ("integrations/admin.css",)}

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RIGHT)

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """No filter on the body: who may not see its fields could guess them by what matches."""
        return not lookup.startswith("body") and super().lookup_allowed(lookup, value, request)

    @admin.action(description="Handle again", permissions=["replay"])
    def handle_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Have the chosen ones handled again."""
        ids = list(queryset.values_list("pk", flat=True))
        user: Any = request.user
        try:
            again = replay(ids, by=user, reason=request.POST.get("reason", ""))
        except (VerbRefused, PermissionDenied, ValueError) as error:
            messages.error(request, str(error))
            return
        rest = len(ids) - again
        messages.success(
            request,
            f"{again:,} will be handled again."
            + (f" {rest:,} stay as they are: done, or waiting anyway." if rest else ""),
        )

    @admin.display(description="event", ordering="event_id")
    def name(self, event: WebhookEvent) -> str:
        return line(event.event_id, 24)

    @admin.display(description="received (UTC)", ordering="id")
    def received(self, event: WebhookEvent) -> str:
        return moment(event.received_at)

    @admin.display(description="occurred (UTC, by the source's clock)")
    def occurred(self, event: WebhookEvent) -> str:
        return moment(event.occurred_at) if event.occurred_at else "the source does not say"

    @admin.display(description="finished (UTC)")
    def finished(self, event: WebhookEvent) -> str:
        return moment(event.finished_at) if event.finished_at else "not yet"

    @admin.display(description="state", ordering="status")
    def state(self, event: WebhookEvent) -> str:
        return _MARKS[EventStatus(event.status)]

    @admin.display(description="note")
    def because(self, event: WebhookEvent) -> SafeString:
        return format_html("<bdi>{}</bdi>", line(event.note))

    @admin.display(description="what next")
    def coming(self, event: WebhookEvent) -> SafeString | str:
        if event.status not in AGAIN:
            return "a worker handles it" if event.status == EventStatus.RECEIVED else "nothing"
        alone = f"{reverse('admin:integrations_webhookevent_changelist')}?{_query(event)}"
        return format_html(
            '<span class="next">It stays until a person decides. When the reason is gone, '
            '<a href="{}">choose it in the list</a>, then <em>Handle again</em>.</span>',
            alone,
        )

    @admin.display(description="next try")
    def due(self, event: WebhookEvent) -> str:
        return moment(event.due_at) if event.status == EventStatus.RECEIVED else "none"

    @admin.display(description="body")
    def document(self, event: WebhookEvent) -> SafeString:
        return self.told(event, _parsed(event.body))


@admin.register(PartnerObject)
class PartnerObjectAdmin(_OfSources):
    """What partners' objects are like, as their events last told."""

    list_display = ("subject", "source", "since", "told_by")
    list_filter = ("source",)
    large = ("state",)
    search_fields = ("=subject",)
    search_help_text = "an object's whole id"
    ordering = ("-id",)
    fields = ("source", "subject", "since", "told_by", "asked_by", "document")
    readonly_fields = fields

    @admin.display(description="as of (UTC)", ordering="as_of")
    def since(self, known: PartnerObject) -> str:
        return moment(known.as_of)

    @admin.display(description="state")
    def document(self, known: PartnerObject) -> SafeString:
        return self.told(known, known.state)


def _query(event: WebhookEvent) -> str:
    return urlencode({"q": event.event_id, "source": event.source})


def _parsed(body: str) -> Any:
    """The body as data, whose fields can be redacted by their names."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # kept, so it was read once: by another Python
        return "•••"
