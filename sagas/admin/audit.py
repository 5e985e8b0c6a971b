"""The audit: who did what, when and why. To be read, found in, and taken away whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.history import HistoryAdmin, moment, run_link, sees_all
from sagas.admin.shown import as_json, as_line, line, shown
from sagas.define.redact import hidden
from sagas.models import AuditEntry
from sagas.operate import reveal
from sagas.operate.access import Right, scope
from sagas.operate.asker import Shell, unverified
from sagas.operate.audit import FIELDS, append, chain
from sagas.operate.journal import asked_of
from sagas.operate.people import VERBS


@admin.register(AuditEntry)
class AuditAdmin(HistoryAdmin):
    """Entries, the newest first."""

    list_display = ("number", "when", "who", "verb", "on", "because", "changed")
    list_filter = ("verb",)
    search_fields = ("=actor", "=run")
    search_help_text = "a user's whole name, or a run's whole id"
    ordering = ("-number",)
    list_display_links = ("number",)
    fields = (
        *("number", "when", "who", "approver", "verb", "on", "because", "batch"),
        *("was", "became", "told", "previous", "hash"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With those that are of no saga, as a hold on a queue is; not those about people.

        Who logs in and who may what is for those whose right holds for all sagas.
        """
        rows: QuerySet[Any] = super().get_queryset(request)
        names = scope(request.user, Right.AUDIT)
        if names is None:
            return rows
        return rows.filter(saga__in=["", *sorted(names)]).exclude(verb__in=VERBS)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        return [path("export/", view, name="sagas_auditentry_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """Every entry as a line of JSON, with the text that its hash was made of.

        The last one says who exports them.
        """
        user = request.user
        whole = scope(user, Right.AUDIT) is None
        if not (user.has_perm(Right.AUDIT) and user.has_perm(Right.REVEAL) and whole):
            raise PermissionDenied(
                "An export holds what was entered, unredacted, of all sagas. It needs "
                f"{Right.AUDIT.value!r} and {Right.REVEAL.value!r}."
            )
        append(actor=user, verb="export", reason="", subject="audit")
        lines = StreamingHttpResponse(_lines(), content_type="application/jsonl")
        lines["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
        return lines

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        more = {"can_export": request.user.has_perm(Right.REVEAL), **(extra_context or {})}
        return super().changelist_view(request, more)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        entry: Any = super().get_object(request, object_id, from_field)
        if entry is not None and (safe := _redacted(entry)) != entry.details:
            entry.details = entry.details if sees_all(entry) else safe
        return entry

    def saga_of(self, row: Any) -> str:
        return str(row.saga)

    @admin.display(description="at (UTC)", ordering="number")
    def when(self, entry: AuditEntry) -> str:
        return moment(entry.at)

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> SafeString:
        actor = shown(entry.actor)
        if by_what := _through(entry):
            actor = format_html("{} ({})", actor, shown(by_what))
        if entry.approver:
            return format_html("{}, with {}", actor, shown(entry.approver))
        return actor

    @admin.display(description="on")
    def on(self, entry: AuditEntry) -> SafeString | str:
        if entry.run is None:
            return shown(entry.subject, 80)
        step = format_html(" {}", shown(asked_of(entry), 100)) if entry.step else ""
        link = run_link(entry.run, f"{entry.saga} …{str(entry.run)[-6:]}")
        return format_html("{}{}", link, step)

    @admin.display(description="because")
    def because(self, entry: AuditEntry) -> SafeString:
        return shown(entry.reason, 200)

    @admin.display(description="before → after")
    def changed(self, entry: AuditEntry) -> str:
        was, now = entry.before, entry.after
        pairs = [f"{n}: {was.get(n, 'none')} → {now.get(n, 'none')}" for n in {**was, **now}]
        return line("; ".join(pairs), 90)

    @admin.display(description="before")
    def was(self, entry: AuditEntry) -> SafeString:
        return format_html("<pre>{}</pre>", shown(as_json(entry.before)))

    @admin.display(description="after")
    def became(self, entry: AuditEntry) -> SafeString:
        return format_html("<pre>{}</pre>", shown(as_json(entry.after)))

    @admin.display(description="what was asked")
    def told(self, entry: AuditEntry) -> SafeString:
        return format_html("<pre>{}</pre>", shown(as_json(entry.details)))


def _through(entry: AuditEntry) -> str:
    """What the actor acted through; entries from before that was kept tell it by the name."""
    kept = entry.details.get("through", "") if isinstance(entry.details, dict) else ""
    return str(kept) or (Shell.acts_through if unverified(entry.actor) else "")


def _redacted(entry: AuditEntry) -> Any:
    """What was entered, without what is nobody's business; the values of a changed field too."""
    details = entry.details
    if not isinstance(details, dict):
        return hidden(details)
    told = reveal.told(details, entry.saga, entry.step, reveal=False)
    if "changed" in details:
        told["changed"] = hidden(details["changed"])
    if isinstance(of_many := details.get("arguments"), dict):  # a batch's, for runs of any saga
        told["arguments"] = reveal.told(of_many, "", "", reveal=False)
    return told


def _lines() -> Iterator[str]:
    for link in chain():
        values = dict(zip(FIELDS, json.loads(link.text), strict=True))
        yield as_line({**values, "hash": link.hash, "text": link.text}) + "\n"
