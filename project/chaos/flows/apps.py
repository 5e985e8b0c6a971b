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

        from project.chaos import mutants, stand_in

        stand_in.install()
        if mutant := os.environ.get("CHAOS_MUTANT"):
            mutants.install(mutant)
        # Short, so that messages are handed out again while their first copy is at work.
        current_app.conf.broker_transport_options = {
            **current_app.conf.broker_transport_options,
            "visibility_timeout": 6,
        }
