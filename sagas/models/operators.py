"""What operators leave beside the record: holds, the audit, approvals, batches, saved views.

Runs are named by their ids, without foreign keys: an archived run takes none of this with it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from sagas.models.record import choices, uuid7


class HoldKind(StrEnum):
    """What a hold stops."""

    RUN = "run"  # one run; its target is the run's id
    SAGA = "saga"  # every run of a saga, in all versions
    QUEUE = "queue"  # the steps of a queue
    PARTNER = "partner"  # the steps that name a partner


class Hold(models.Model):
    """A stop: what it covers is not claimed until it is lifted. One that is lifted is history."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=8, choices=choices(HoldKind))
    target = models.CharField(max_length=200, help_text="a run's id, or a name")
    source = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text="the automatism that placed it; empty: a person",
    )
    reason = models.TextField()
    placed_by = models.CharField(max_length=150)
    placed_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField(
        null=True, blank=True, help_text="when it is lifted by itself; null: somebody has to"
    )
    per_second = models.FloatField(
        null=True, blank=True, help_text="runs that then go on in a second; null: the setting's"
    )
    lifted_by = models.CharField(max_length=150, blank=True, default="")
    lifted_at = models.DateTimeField(null=True, blank=True)
    probe = models.UUIDField(
        null=True, blank=True, help_text="the run that is let through, to try the partner"
    )
    probed_at = models.DateTimeField(null=True, blank=True, help_text="since when it is")

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("kind", "target", "source"),
                condition=Q(lifted_at__isnull=True),
                name="sagas_hold_once",
            ),
            models.CheckConstraint(
                condition=Q(kind="partner") | Q(source="", probe__isnull=True),
                name="sagas_hold_automatic",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("source", "target", "id"),
                name="sagas_hold_of_source",
                condition=~Q(source=""),
            ),
            models.Index(
                fields=("ends_at",),
                name="sagas_hold_ends",
                condition=Q(lifted_at__isnull=True, ends_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"

    @property
    def placer(self) -> str:
        """Who placed it, in words."""
        return f"{self.source} (automatic)" if self.source else self.placed_by


class AuditEntry(models.Model):
    """Who did what, when and why, and what it changed. Appended by ``operate.audit`` only.

    A trigger numbers each entry and chains it to the one before; another refuses every change.
    """

    number = models.BigIntegerField(primary_key=True, help_text="without gaps, from 1")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    approver = models.CharField(max_length=150, blank=True, help_text="the second person")
    verb = models.CharField(max_length=32)
    run = models.UUIDField(null=True, blank=True)
    saga = models.CharField(max_length=80, blank=True)
    step = models.CharField(max_length=80, blank=True)
    subject = models.CharField(
        max_length=220, blank=True, help_text="what it was done to, if no run"
    )
    reason = models.TextField(blank=True)
    batch = models.UUIDField(null=True, blank=True)
    before = models.JSONField(help_text="what the verb changed, as it was")
    after = models.JSONField(help_text="the same, as it is now")
    details = models.JSONField(help_text="what was asked for")
    previous = models.CharField(max_length=64, help_text="the hash of the entry before")
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ("-number",)
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            models.Index(
                fields=("run", "number"),
                name="sagas_audit_of_run",
                condition=Q(run__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.verb}"


class Anchor(models.Model):
    """A signed head of audit and events. Written by ``operate.anchor`` only, and never changed."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    line = models.TextField(help_text="as it was exported")

    class Meta:
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"anchor {self.number}"


class ApprovalStatus(StrEnum):
    """Where a request for a second person's consent stands."""

    OPEN = "open"  # waits for a second person
    APPROVED = "approved"  # a second person consented, and it was done
    DECLINED = "declined"  # a second person refused
    WITHDRAWN = "withdrawn"  # the one who asked took it back
    FAILED = "failed"  # a second person consented, and the verb no longer fitted the run


class Approval(models.Model):
    """Something that one person asked for and a second one must consent to.

    A verb on a run; or what is about no single run: to place or lift a hold, or a batch.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.UUIDField(null=True, blank=True)
    subject = models.CharField(
        max_length=220,
        blank=True,
        default="",
        db_default="",
        help_text="what it is about, if no run",
    )
    saga = models.CharField(max_length=80, blank=True, help_text="empty: several")
    verb = models.CharField(max_length=32)
    arguments = models.JSONField()
    reason = models.TextField()
    imprint = models.CharField(max_length=16, help_text="of the run as the one who asked saw it")
    status = models.CharField(
        max_length=10, choices=choices(ApprovalStatus), default=ApprovalStatus.OPEN
    )
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(db_default=Now())
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, default="", help_text="of the one who decided")

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("run", "verb"), condition=Q(status="open"), name="sagas_approval_once"
            ),
            models.UniqueConstraint(
                fields=("subject", "verb"),
                condition=Q(status="open", run__isnull=True),
                name="sagas_approval_of_subject",
            ),
            models.CheckConstraint(
                condition=Q(status="withdrawn") | ~Q(decided_by=F("asked_by")),
                name="sagas_approval_by_another",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=("run",), name="sagas_approval_of_run")]

    def __str__(self) -> str:
        return f"{self.verb} of run {self.run}" if self.run else f"{self.verb}: {self.subject}"


class BatchStatus(StrEnum):
    """Where a batch stands."""

    DRAFT = "draft"  # tried out without effect; waits for the operator's word
    RUNNING = "running"  # being carried out
    STOPPED = "stopped"  # an operator stopped it; what was not done is left
    DONE = "done"  # every item has its answer; the runs may go on, or fail again

    @property
    def word(self) -> str:
        """As every door calls it."""
        return "finished" if self is BatchStatus.DONE else self.value


class Batch(models.Model):
    """One verb for many runs, carried out by a Celery task, an item at a time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    verb = models.CharField(max_length=32)
    arguments = models.JSONField()
    reason = models.TextField()
    query = models.TextField(blank=True, help_text="the filter that chose the runs")
    matched = models.IntegerField(help_text="how many runs the filter matched, at least")
    rate = models.FloatField(help_text="items a second at most")
    status = models.CharField(max_length=8, choices=choices(BatchStatus))
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(
        null=True, blank=True, help_text="then another worker goes on"
    )
    stopped_by = models.CharField(max_length=150, blank=True, default="")
    task_id = models.CharField(
        max_length=36, blank=True, default="", help_text="Celery's, the last"
    )

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "batches"
        indexes: ClassVar = [
            models.Index(
                fields=("lease_until",), name="sagas_batch_running", condition=Q(status="running")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb}, {self.created_at:%Y-%m-%d %H:%M} UTC"


class ItemStatus(StrEnum):
    """What a batch was answered for one of its runs, which says nothing of how the run goes on."""

    READY = "ready"  # the trial found that the verb fits
    UNFIT = "unfit"  # the trial found that it does not; it is left out
    ACCEPTED = "done"  # the action was taken; the word is that of older code, which reads it too
    ASKED = "asked"  # a second person was asked to consent
    REFUSED = "refused"  # the run had moved, and the verb did not fit any more
    FAILED = "failed"  # something went wrong here; nothing was changed

    @property
    def word(self) -> str:
        """As every door calls it."""
        return "accepted" if self is ItemStatus.ACCEPTED else self.value


class BatchItem(models.Model):
    """One run of a batch."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items", db_index=False)
    run = models.UUIDField()
    key = models.CharField(max_length=200, help_text="the run's business key")
    step = models.CharField(
        max_length=80, blank=True, default="", help_text="the step that the trial found"
    )
    status = models.CharField(max_length=8, choices=choices(ItemStatus))
    detail = models.TextField(blank=True, default="", help_text="why not, or how the run stands")
    losses = models.SmallIntegerField(
        default=0, db_default=0, help_text="processes that died at it"
    )
    at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("batch", "run"), name="sagas_item_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=("batch", "status", "id"), name="sagas_item_of_batch")
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.status}"

    @property
    def answer(self) -> ItemStatus:
        """What the batch was answered."""
        return ItemStatus(self.status)

    @property
    def why(self) -> str:
        """Why it was not accepted; of what was, older code kept how the run stood just then."""
        return "" if self.answer is ItemStatus.ACCEPTED else self.detail


class SavedView(models.Model):
    """A filter of the list of runs that somebody gave a name."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=80)
    query = models.TextField(help_text="as in the list's address")
    owner = models.CharField(max_length=150)
    shared = models.BooleanField(default=False, help_text="others see it too")

    class Meta:
        ordering = ("name",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("owner", "name"), name="sagas_view_name"),
        ]

    def __str__(self) -> str:
        return self.name


ALL_SAGAS = None
"""What a scope names instead of a saga. Not a word: no saga can be called so, and code before this
took a group without scopes, of which its join found just this, for one that reaches all."""


class ApiToken(models.Model):
    """A token for the API. What is sent is signed and stored nowhere; it counts while this does."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.CharField(max_length=150, help_text="whom it stands for")
    user_pk = models.CharField(max_length=255)
    reason = models.TextField(blank=True, help_text="what it is for")
    issued_by = models.CharField(max_length=150)
    issued_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.user}, {self.id}"


class Attempts(models.Model):
    """How often something was tried lately, such as a password by its name. See ``throttle``."""

    key = models.CharField(max_length=64, primary_key=True)
    attempts = models.IntegerField()
    since = models.DateTimeField(help_text="the first of them")

    class Meta:
        db_table = "sagas_loginattempts"  # as it was called when it counted nothing else
        verbose_name_plural = "attempts"
        indexes: ClassVar = [models.Index(fields=("since",), name="sagas_login_since")]

    def __str__(self) -> str:
        return f"{self.attempts} since {self.since}"


class Scope(models.Model):
    """Says for which sagas the permissions of a group on runs hold: for one, or for all.

    A group without any scope reaches no saga, so to remove its last one never widens it.
    """

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, related_name="saga_scopes")
    saga = models.CharField(  # noqa: DJ001  # null is ALL_SAGAS
        max_length=80, null=True, blank=True, help_text="null: all sagas"
    )

    class Meta:
        ordering = ("group", "saga")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("group", "saga"), name="sagas_scope_once"),
            models.UniqueConstraint(
                fields=("group",), condition=Q(saga__isnull=True), name="sagas_scope_all_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.reach}"

    @property
    def reach(self) -> str:
        """What it covers, in words."""
        return "all sagas" if self.saga is ALL_SAGAS else self.saga
