"""What a pool does not give is said by its name; real workers are in the stories."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import patch

import pytest
from celery import signals
from celery.concurrency import get_implementation
from celery.utils.dispatch import Signal
from django.db import connection

from sagas.run import pools


def pool(module: str) -> object:
    return type("TaskPool", (SimpleNamespace,), {"__module__": module})()


def test_prefork_lacks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pools.prepare(pool("celery.concurrency.prefork"))
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["solo", "threads"])
def test_every_pool_of_celery_is_known_by_the_module_of_its_class(name: str) -> None:
    module = get_implementation(name).__module__.rpartition(".")[2]
    assert pools._LACKS[module]


def test_a_pool_of_somebody_elses_is_said_to_be_unknown(caplog: pytest.LogCaptureFixture) -> None:
    pools.prepare(pool("their.own"))
    assert "never tried" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_a_greenlet_leaves_no_connection_behind(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with patch.object(signals, "task_postrun", Signal()) as postrun:
        pools.prepare(pool(f"celery.concurrency.{name}"))
        assert len(caplog.records) == 4
        connection.ensure_connection()
        postrun.send(sender=None)
    assert connection.connection is None
