"""The queues that Celery's settings know."""

from __future__ import annotations

from celery import current_app

from sagas.run.queues import default_queue, routed_queues


def test_a_queue_that_the_settings_name_is_known() -> None:
    assert current_app.conf.task_default_queue in routed_queues()
    assert {queue.name for queue in current_app.conf.task_queues} <= routed_queues()


def test_the_default_queue_is_the_one_that_celery_sends_to() -> None:
    assert default_queue() == current_app.conf.task_default_queue
