"""The Django app: finds the sagas of all installed apps, as admin finds their admin modules."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig, apps
from django.core import mail
from django.db.backends.signals import connection_created


class SagasConfig(AppConfig):
    """The engine's app."""

    name = "sagas"
    verbose_name = "Integration sagas"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from sagas import checks
        from sagas.operate import people

        del checks  # registers itself
        people.connect()
        connection_created.connect(_let_tests_empty_tables)
        autodiscover()


def _let_tests_empty_tables(connection: Any, **_: Any) -> None:
    """Between two of Django's tests all tables are truncated; migration 0022 refuses it else."""
    if connection.vendor == "postgresql" and hasattr(mail, "outbox"):  # made by the test runner
        connection.connection.execute("SELECT set_config('sagas.emptying', 'on', false)")


def autodiscover() -> None:
    """Import the module ``sagas`` of every installed app, or every module of such a package."""
    for app in apps.get_app_configs():
        name = f"{app.name}.sagas"
        if app.name == "sagas" or find_spec(name) is None:
            continue
        module = import_module(name)
        for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
            import_module(found.name)
