"""The project's settings, an app of sagas for stories in the browser, and quick logins."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.browser.work"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
