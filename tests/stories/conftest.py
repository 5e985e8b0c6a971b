from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.world import World

QUICK = {"LEASE_SECONDS": 2, "SWEEP_SECONDS": 0.2, "RESEND_SECONDS": 1, "GRACE_SECONDS": 0.5}


@pytest.fixture
def stories(process_environment: dict[str, str], tmp_path: Path) -> Iterator[World]:
    """A world whose workers know the stories' sagas, with quick leases and sweeps."""
    environment = {
        **process_environment,
        "DJANGO_SETTINGS_MODULE": "tests.stories.settings",
        "SAGAS": json.dumps(QUICK),
    }
    with World(tmp_path, environment) as world:
        yield world
