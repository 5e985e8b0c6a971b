"""What makes a process of the project one of chaos: stand-ins, and a mutant if one is asked for."""

from __future__ import annotations

import os

from django.apps import AppConfig


class ChaosFlows(AppConfig):
    """The app of chaos's own sagas."""

    name = "project.chaos.flows"
    label = "chaos"

    def ready(self) -> None:
        from celery import current_app

        from project.chaos import messages, mutants, stand_in
        from project.chaos.flows import neighbours  # noqa: F401 -- registers its saga

        stand_in.install()
        if path := os.environ.get("CHAOS_MESSAGES"):
            messages.record(path)
        if mutant := os.environ.get("CHAOS_MUTANT"):
            mutants.install(mutant)
        # Short, so that messages are handed out again while their first copy is at work.
        current_app.conf.broker_transport_options = {
            **current_app.conf.broker_transport_options,
            "visibility_timeout": 6,
        }
