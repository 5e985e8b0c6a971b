"""The settings as a process reads them: each test starts one with an environment of its own."""

import logging
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from tests.project.processes import ROOT
from tests.project.test_environment import PRODUCTION


def manage(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    named = dict.fromkeys(("DATABASE_URL", "BROKER_URL", "REDIS_URL"), "")
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **named, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_passes_the_deployment_check_of_django() -> None:
    asked = ("BROKER_URL", "DATABASE_URL")
    environment = PRODUCTION | {name: os.environ[name] for name in asked}
    environment |= {"AUDIT_KEY": "9876543210" * 5, "AUDIT_ANCHOR": "/anchors/anchors.jsonl"}
    checked = manage("check", "--deploy", "--fail-level=WARNING", **environment)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


def test_a_wrong_environment_is_refused_without_a_stack_trace() -> None:
    refused = manage("check", ENVIRONMENT="production")
    assert refused.returncode == 1
    assert "SECRET_KEY must be set" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.django_db
def test_the_migrations_say_all_that_the_models_say() -> None:
    call_command("makemigrations", "--check", "--dry-run")


def test_pages_may_load_only_what_is_ours(client: Client) -> None:
    policy = client.get("/healthz").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_no_session_or_token_travels_in_the_clear_in_production() -> None:
    asked = "import project.settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
    said = manage("shell", "--verbosity=0", "--command", asked, **PRODUCTION)
    assert said.stdout.split() == ["True", "True"]


def test_what_a_former_secret_key_signed_still_holds() -> None:
    former, new = PRODUCTION["SECRET_KEY"], "abcdefghij" * 5
    sign = "from django.core import signing; print(signing.dumps('seven'))"
    signed = manage("shell", "--verbosity=0", "--command", sign, **PRODUCTION).stdout.strip()
    read = f"from django.core import signing; print(signing.loads({signed!r}))"
    rotated = PRODUCTION | {
        "SECRET_KEY": new,
        "SECRET_KEY_FALLBACKS": f"{'9876543210' * 5},{former}",
    }
    said = manage("shell", "--verbosity=0", "--command", read, **rotated)
    assert said.stdout.strip() == "seven", said.stderr


@pytest.mark.parametrize("name", ["celery.app.trace", "celery.worker.strategy"])
def test_what_tasks_return_and_carry_is_not_logged(name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_each_process_of_a_test_session_has_its_own_place_in_redis() -> None:
    """Workers of pytest-xdist inherit an environment; the settings must be of their own."""
    assert os.environ["REDIS_PREFIX"] == settings.REDIS_PREFIX
    assert os.environ["BROKER_URL"] == settings.BROKER_URL
