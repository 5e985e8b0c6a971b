"""The project's own settings, with the sagas of chaos and the stand-ins for the steps' code."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as _INSTALLED_APPS

INSTALLED_APPS = [*_INSTALLED_APPS, "project.chaos.flows"]

ROOT_URLCONF = "project.chaos.urls"

# Messages are handed out again on purpose while their first copy is at work.
SILENCED_SYSTEM_CHECKS = ["sagas.E103", "sagas.W109"]
