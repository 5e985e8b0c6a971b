"""The record: runs, their steps, what happened to them, and signals.

Only ``transitions`` writes runs and steps.
"""

from __future__ import annotations

import os
import time
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import BooleanField, Func, Q
from django.db.models.functions import Collate, Now

from sagas.states import Direction, Halt, RunStatus, StepStatus
from sagas.wording import words


def uuid7() -> UUID:
    """A time-ordered id (RFC 9562, section 5.7), so that new rows lie together in the index.

    Twelve bits tell the time within the millisecond (section 6.2, method 3): rows that one process
    makes one after another keep their order.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    within = (rest << 12) // 1_000_000
    bits = (milliseconds << 80) | (0x7 << 76) | (within << 64) | (0x2 << 62)
    return UUID(int=bits | (int.from_bytes(os.urandom(8), "big") >> 2))


def choices(kind: type[StrEnum]) -> list[tuple[str, str]]:
    """The choices of a field that holds one of these words."""
    return [(w.value, words(w.value or "none")) for w in kind]


def _sound(function: str, *columns: str) -> Func:
    """A check by a function of the database's; migration 0001 says what it refuses.

    An expression would be parsed anew for each statement that writes a row, which was a third of
    what PostgreSQL did for a run; a function is compiled once per connection.
    """
    return Func(*columns, function=function, output_field=BooleanField())


def key_end() -> Collate:
    """What stands after the last colon of a run's key, in small letters: as the index has it."""
    end = "lower(substring(%(expressions)s from '[^:]*$'))"
    return Collate(Func("business_key", template=end, output_field=models.CharField()), "C")


class Run(models.Model):
    """One execution of a saga."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    saga = models.CharField(max_length=80)
    version = models.IntegerField(help_text="of the saga's definition")
    fingerprint = models.CharField(max_length=16, help_text="of the saga's structure")
    business_key = models.CharField(max_length=200)
    payload = models.JSONField(help_text="as it was given to start")
    amended = models.JSONField(
        null=True, blank=True, help_text="the payload as an operator changed it"
    )
    tags = ArrayField(models.CharField(max_length=40), default=list, db_default=[], blank=True)
    title = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="what its saga makes of its payload for people, without what is redacted",
    )
    status = models.CharField(max_length=16, choices=choices(RunStatus))
    epoch = models.IntegerField(default=1, help_text="raised when the direction changes")
    revision = models.IntegerField(default=0, help_text="raised by every move")
    halt = models.CharField(max_length=10, blank=True, default="", choices=choices(Halt))
    attention = models.TextField(blank=True, default="", help_text="why a person is needed")
    error_group = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="what stopped it, in words that are the same for all that it stopped",
    )
    owner = models.CharField(
        max_length=150, blank=True, default="", db_default="", help_text="who looks after it"
    )
    origin_kind = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text="what started it: a request, a command or a run; empty: other code",
    )
    origin_id = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="which of them"
    )
    root = models.UUIDField(
        null=True, blank=True, help_text="the first run of the chain that led to it"
    )
    depth = models.IntegerField(
        default=0, db_default=0, help_text="how many runs of that chain came before it"
    )
    deadline_at = models.DateTimeField(null=True, blank=True)
    wake_at = models.DateTimeField(null=True, blank=True, help_text="a sweep looks at it then")
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("saga", "business_key"), name="sagas_run_once"),
            models.CheckConstraint(
                condition=_sound("sagas_run_is_sound", "status", "finished_at", "attention"),
                name="sagas_run_sound",
            ),
        ]
        indexes: ClassVar = [
            # Every index, and every condition of one, costs each update of a run, so there are few.
            models.Index(
                # The last two are looked for in the index alone, whatever the state.
                fields=("status", "id", "error_group", "owner"),
                name="sagas_run_notable",
                condition=~Q(status=RunStatus.SUCCEEDED.value),
            ),
            models.Index(
                fields=("wake_at",), name="sagas_run_wake", condition=Q(wake_at__isnull=False)
            ),
            models.Index(
                fields=("business_key",),
                name="sagas_run_key_prefix",
                opclasses=["varchar_pattern_ops"],
            ),
            # By the number that people have at hand; see ``operate.search``.
            models.Index(key_end(), name="sagas_run_key_end"),
            GinIndex(fields=("tags",), name="sagas_run_tags", condition=~Q(tags=[])),
            models.Index(  # only of runs that runs started: their number in a minute is limited
                fields=("root", "created_at"),
                name="sagas_run_of_root",
                condition=Q(root__isnull=False),
            ),
            models.Index(  # an entry is written when a run is over, and by nothing else
                fields=("finished_at", "id"),
                name="sagas_run_finished",
                condition=Q(finished_at__isnull=False),
            ),
        ]
        permissions: ClassVar = [
            ("approve_run", "Can consent to what another operator asked for"),
            ("reveal_run", "Can see redacted fields of runs"),
        ]

    def __str__(self) -> str:
        return f"{self.saga} {self.business_key}"


class Step(models.Model):
    """One step of a run in one direction; a compensation is a row of its own."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps", db_index=False)
    name = models.CharField(max_length=80)
    direction = models.CharField(max_length=8, choices=choices(Direction))
    position = models.SmallIntegerField(help_text="place in the saga, from 0")
    status = models.CharField(max_length=10, choices=choices(StepStatus))
    attempt = models.IntegerField(default=0, help_text="claims so far")
    tries = models.IntegerField(default=0, help_text="calls that count as tries")
    probes = models.IntegerField(default=0, help_text="verifies that count as tries")
    losses = models.IntegerField(default=0, help_text="attempts in a row without answer")
    in_doubt = models.BooleanField(default=False, help_text="an attempt may have had its effect")
    doubted = models.BooleanField(
        default=False, db_default=False, help_text="so it was, until a verify found none"
    )
    generation = models.IntegerField(default=1)
    waited = models.FloatField(
        default=0.0, db_default=0.0, help_text="seconds in which no try could be made"
    )
    due_at = models.DateTimeField(null=True, blank=True, help_text="may be claimed from then on")
    limit_at = models.DateTimeField(
        null=True, blank=True, help_text="the attempt is over by then, its worker alive or not"
    )
    worker = models.CharField(max_length=120, blank=True, default="")
    pid = models.IntegerField(null=True, blank=True)
    signal = models.CharField(max_length=80, blank=True, default="")
    correlation = models.CharField(max_length=200, blank=True, default="")
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("run", "direction", "position")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("run", "direction", "name"), name="sagas_step_once_per_direction"
            ),
            models.CheckConstraint(
                condition=_sound("sagas_step_is_sound", "status", "limit_at", "attempt"),
                name="sagas_step_sound",
            ),
        ]
        indexes: ClassVar = [
            # No index may hold what a claim or an answer writes: PostgreSQL then updates the row
            # within its page and touches no index at all (HOT).
            models.Index(
                fields=("signal", "correlation"),
                name="sagas_step_waiting",
                condition=~Q(signal=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.direction})"


class Event(models.Model):
    """One thing that happened to a run; written once, in the same transaction as the move."""

    id = models.BigAutoField(primary_key=True)
    # No constraint: it would cost a lock and a lookup for each of a run's events.
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, related_name="events", db_index=False, db_constraint=False
    )
    at = models.DateTimeField(db_default=Now())
    step = models.CharField(max_length=80, blank=True, help_text="empty: the run itself")
    direction = models.CharField(max_length=8, blank=True, choices=choices(Direction))
    old = models.CharField(max_length=16, blank=True)
    new = models.CharField(max_length=16, blank=True)
    attempt = models.IntegerField(default=0)
    epoch = models.IntegerField()
    worker = models.CharField(max_length=120, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ("id",)
        indexes: ClassVar = [models.Index(fields=("run", "id"), name="sagas_event_of_run")]

    def __str__(self) -> str:
        return f"{self.step or 'run'}: {self.old or '·'} → {self.new or '·'}"


class Original(models.Model):
    """What the code of an attempt said, where the rest of the record shows it masked.

    A table of its own, so that no page, file or query shows it by mistake.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        Run,
        on_delete=models.DO_NOTHING,
        related_name="originals",
        db_index=False,
        db_constraint=False,
    )
    at = models.DateTimeField(db_default=Now())
    step = models.CharField(max_length=80)
    direction = models.CharField(max_length=8, choices=choices(Direction))
    attempt = models.IntegerField()
    text = models.TextField()

    class Meta:
        ordering = ("id",)
        indexes: ClassVar = [models.Index(fields=("run", "id"), name="sagas_original_of_run")]

    def __str__(self) -> str:
        return f"attempt {self.attempt} of {self.step} ({self.direction})"


class Worker(models.Model):
    """A worker that beats. Its steps in flight are its own until ``lease_until``."""

    name = models.CharField(primary_key=True, max_length=120)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField()
    queues = ArrayField(models.CharField(max_length=200), default=list, db_default=[], blank=True)
    processes = models.IntegerField(null=True, blank=True, help_text="of its pool")
    sagas = ArrayField(
        models.CharField(max_length=120),
        null=True,
        blank=True,
        help_text="the definitions that it knows, as name/version/fingerprint",
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Signal(models.Model):
    """A message for a waiting step; one that comes early stays here until it is waited for.

    One that was handed to a step (``taken_by``) is taken (``taken_at``) when the step is settled.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=80)
    saga = models.CharField(
        max_length=80, blank=True, default="", db_default="", help_text="empty: of any saga"
    )
    correlation = models.CharField(max_length=200, help_text="a key, or the id of a run")
    # Null, not empty, where the sender gives none: only then may equal ones stand side by side.
    # It begins with the saga that the sender named, if any.
    deduplication_id = models.CharField(max_length=300, null=True, blank=True)  # noqa: DJ001
    payload = models.JSONField(null=True, blank=True)
    received_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="no step takes it after that; empty: the setting says"
    )
    taken_at = models.DateTimeField(null=True, blank=True)
    taken_by = models.ForeignKey(
        Step, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("name", "correlation", "deduplication_id"), name="sagas_signal_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("name", "correlation"),
                name="sagas_signal_untaken",
                condition=Q(taken_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} for {self.correlation}"
