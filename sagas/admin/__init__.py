"""The console, in Django's admin: the record is read, and moved by verbs alone."""

from sagas.admin import (
    approval,
    audit,
    batch,
    event,
    hold,
    login,
    run,
    scope,
    signal,
    step,
    token,
    worker,
)

__all__ = [
    "approval",
    "audit",
    "batch",
    "event",
    "hold",
    "login",
    "run",
    "scope",
    "signal",
    "step",
    "token",
    "worker",
]
