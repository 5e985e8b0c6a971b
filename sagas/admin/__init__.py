"""The record in Django's admin: history to be read, never written."""

from sagas.admin import event, run, signal, step, worker

__all__ = ["event", "run", "signal", "step", "worker"]
