"""The Django app: finds the sagas of all installed apps, as admin finds their admin modules."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig, apps


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
        autodiscover()


def autodiscover() -> None:
    """Import the module ``sagas`` of every installed app, or every module of such a package."""
    for app in apps.get_app_configs():
        name = f"{app.name}.sagas"
        if app.name == "sagas" or find_spec(name) is None:
            continue
        module = import_module(name)
        for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
            import_module(found.name)
