"""A story of web and workers whose database user owns nothing, and of anchors that they export."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.db import connection

from project.world import World
from sagas.models import Anchor
from sagas.operate.roles import Roles
from sagas.states import RunStatus
from tests.sagas.operate.application import connected_as, two_users
from tests.stories.conftest import QUICK
from tests.stories.test_brokers import Door
from tests.stories.waiting import at_rest, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def roles() -> Iterator[Roles]:
    with two_users() as made:
        yield made


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    return tmp_path / "anchors.jsonl"


@pytest.fixture
def unprivileged(
    process_environment: dict[str, str], tmp_path: Path, anchors: Path, roles: Roles
) -> Iterator[World]:
    """A world whose processes are the application's user."""
    named = connection.settings_dict
    where = urlencode({"host": named["HOST"], "port": named["PORT"] or 5432})
    who = f"{roles.application}:{roles.password}"
    environment = {
        **process_environment,
        "DATABASE_URL": f"postgresql://{who}@/{quote(named['NAME'])}?{where}",
        "DJANGO_SETTINGS_MODULE": "tests.stories.settings",
        "SAGAS": json.dumps({**QUICK, "AUDIT_ANCHOR": str(anchors), "ANCHOR_SECONDS": 1}),
    }
    with World(tmp_path, environment) as world:
        yield world


def test_workers_without_rights_do_all_their_work_and_export_anchors_by_themselves(
    unprivileged: World, roles: Roles, anchors: Path, tmp_path: Path
) -> None:
    door = Door(unprivileged.web(0), tmp_path)
    unprivileged.workers(processes=1)
    started = [door.start(f"run-{number}")[0] for number in range(4)]
    assert {at_rest(run_id, 180).status for run_id in started} == {RunStatus.SUCCEEDED}
    until(lambda: _anchored() == _events(), 60)
    assert anchors.read_text().splitlines()[-1] == Anchor.objects.latest("number").line
    assert "anchors hold" in unprivileged.manage("audit", "verify")
    assert "agree" in unprivileged.manage("sagas", "verify")
    with connected_as(roles.application, roles.password or ""), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('sagas.archiving', 'on', false)")
        cursor.execute("DELETE FROM sagas_event WHERE id = (SELECT min(id) FROM sagas_event)")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        unprivileged.manage("audit", "verify")
    assert "1 are gone" in failed.value.stdout


def _anchored() -> int:
    newest = Anchor.objects.order_by("-number").first()
    return 0 if newest is None else int(json.loads(newest.line)["head"]["events"]["count"])


def _events() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sagas_event")
        (count,) = cursor.fetchone() or (0,)
    return int(count)
