"""The project's own settings, with the sagas of these measurements among its apps."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS as _INSTALLED_APPS

INSTALLED_APPS = [*_INSTALLED_APPS, "bench.partners"]
