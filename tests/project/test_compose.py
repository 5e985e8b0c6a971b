"""The production shape, as far as it can be told without an engine that runs it."""

from typing import Any

import pytest
import yaml

from integrations import conf
from integrations.conf import PREFIX, EnvironmentSettings
from project.celery import app
from project.queues import WORKER_GROUPS
from sagas.conf import conf as engine
from sagas.define import registry
from sagas.define.plan import time_limit
from sagas.states import Direction
from tests.project.processes import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = sorted(SERVICES.keys() - {"migrate"})
SECRETS = (
    *("SECRET_KEY", "AUDIT_KEY", "POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD"),
    *("REDIS_BROKER_PASSWORD", "REDIS_CACHE_PASSWORD"),
    "INTEGRATIONS_PAYMENTS_API_KEY",
)


@pytest.mark.parametrize("name", LASTING)
def test_each_service_is_restarted_and_watched(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"]


def test_each_group_of_queues_has_a_service_that_consumes_it() -> None:
    consumed = {
        name.removeprefix("worker-"): queues(service)
        for name, service in SERVICES.items()
        if name.startswith("worker-")
    }
    assert consumed == WORKER_GROUPS


def queues(service: dict[str, Any]) -> list[str]:
    named = [word for word in service["command"] if word.startswith("--queues=")]
    return list(named[0].removeprefix("--queues=").split(","))


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(secret: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert f"${{{secret}:?" in text, "nothing demands it"
    assert f"${{{secret}:-" not in text


def test_every_setting_of_a_partner_that_has_no_sound_default_can_be_given() -> None:
    given = set(COMPOSE["x-environment"])
    kinds = [kind for kind in vars(conf).values() if isinstance(kind, type)]
    of_partners = [k for k in kinds if issubclass(k, EnvironmentSettings)]
    names = {f"{PREFIX}{field.upper()}" for kind in of_partners for field in kind.model_fields}
    vendors = {name for name in names if name.endswith(("_URL", "_BASE")) and name not in given}
    assert names - given == vendors, "a deployment cannot set it"
    assert f"{PREFIX}RESILIENCE" in given
    for field in {name.removeprefix(PREFIX).lower() for name in vendors}:
        (default,) = (k.model_fields[field].default for k in of_partners if field in k.model_fields)
        assert str(default).startswith("https://"), f"{field} has no vendor's address"


def test_redis_evicts_nothing_and_keeps_its_log() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command


def test_nothing_starts_before_the_database_is_migrated() -> None:
    for name in ("web", *(f"worker-{group}" for group in WORKER_GROUPS)):
        migrated = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert migrated == "service_completed_successfully"


def test_a_worker_is_given_the_time_that_its_longest_step_takes_to_stop() -> None:
    longest = max(
        time_limit(step, direction)
        for saga in registry.all_sagas()
        for step in saga.steps.values()
        if step.action.__module__.startswith("integrations.")  # others are of tests, by any name
        for direction in Direction
    )
    # It finishes what it can, hands back the rest, and a step that hangs is ended.
    needed = app.conf.worker_soft_shutdown_timeout + longest + engine().GRACE_SECONDS
    for name in WORKER_GROUPS:
        worker = SERVICES[f"worker-{name}"]
        assert float(worker["stop_grace_period"].removesuffix("s")) > needed
        assert worker["restart"] == "unless-stopped"


def test_only_the_migration_is_the_database_s_owner() -> None:
    owner = f"postgresql://{SERVICES['postgres']['environment']['POSTGRES_USER']}:"
    own = {
        name: s["environment"].get("DATABASE_URL", "")
        for name, s in SERVICES.items()
        if "DATABASE_URL" in s.get("environment", {})
    }
    assert own.keys() >= {"migrate", "web", *(f"worker-{name}" for name in WORKER_GROUPS)}
    assert [name for name, address in own.items() if address.startswith(owner)] == ["migrate"]
    command = SERVICES["migrate"]["command"][-1]
    user = own["web"].removeprefix("postgresql://").partition(":")[0]
    assert f"--owner {SERVICES['postgres']['environment']['POSTGRES_USER']} " in command
    assert f"--application {user} " in command
    assert command.index(" migrate ") < command.index(" sagas roles")


def test_anchors_are_kept_where_every_service_that_takes_one_can_write() -> None:
    path = COMPOSE["x-environment"]["AUDIT_ANCHOR"].partition(":-")[2].rstrip("}")
    (volume,) = COMPOSE["x-anchors"]
    assert path.startswith(f"{volume.partition(':')[2]}/")
    for name in ("web", *(f"worker-{name}" for name in WORKER_GROUPS)):
        assert SERVICES[name]["volumes"] == [volume]
    assert (
        f"install --directory --owner=app --mode=700 {volume.partition(':')[2]}"
        in (ROOT / "Dockerfile").read_text()
    )
