"""The tables: the record that the engine keeps of runs, and what operators leave beside it."""

from sagas.models.operators import (
    Anchor,
    ApiToken,
    Approval,
    ApprovalStatus,
    Attempts,
    AuditEntry,
    Batch,
    BatchItem,
    BatchStatus,
    Hold,
    HoldKind,
    ItemStatus,
    SavedView,
    Scope,
)
from sagas.models.record import Event, Original, Run, Signal, Step, Worker, uuid7

__all__ = [
    "Anchor",
    "ApiToken",
    "Approval",
    "ApprovalStatus",
    "Attempts",
    "AuditEntry",
    "Batch",
    "BatchItem",
    "BatchStatus",
    "Event",
    "Hold",
    "HoldKind",
    "ItemStatus",
    "Original",
    "Run",
    "SavedView",
    "Scope",
    "Signal",
    "Step",
    "Worker",
    "uuid7",
]
