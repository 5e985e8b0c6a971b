"""What makes a message none that a worker can perform; real workers are in the stories."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from kombu import Consumer
from kombu.exceptions import DecodeError
from kombu.message import Message

from sagas.run.undecodable import DropUndecodable, flaw

LINKS = {"callbacks": None, "errbacks": [{"task": "t"}], "chain": [], "chord": None}
HEADERS = {"task": "t", "id": "1", "timelimit": [None, 2.5]}


def message(body: Any, headers: Any = HEADERS) -> Any:
    return SimpleNamespace(payload=body, headers=headers)


@pytest.mark.parametrize(
    "sound",
    [
        message([[1], {"a": 1}, LINKS]),
        message(((), {}, None), {"task": "t", "id": "1"}),
        message({"args": [], "kwargs": {}}),  # of both protocols
        message({"task": "t", "id": "1", "args": [], "kwargs": {}}, {}),  # of the first
    ],
)
def test_a_task_of_either_protocol_has_no_flaw(sound: Any) -> None:
    assert flaw(sound) is None


@pytest.mark.parametrize(
    "links", [7, {"chain": 7}, {"errbacks": ["text"]}, {"callbacks": {"task": "t"}}]
)
def test_links_that_are_none_are_a_flaw(links: Any) -> None:
    assert flaw(message([[], {}, links])) == "its body is not arguments, keywords and links"


@pytest.mark.parametrize("limits", [5, [1], ["a", "b"], {"soft": 1}])
def test_time_limits_that_are_not_two_numbers_are_a_flaw(limits: Any) -> None:
    found = flaw(message([[], {}, LINKS], {**HEADERS, "timelimit": limits}))
    assert found == "its time limits are not two numbers"


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker's consumer, of which the parts are stand-ins, with the bootstep."""
    monkeypatch.setattr(Consumer, "on_decode_error", None)
    consumer = MagicMock(connection_errors=(ConnectionError,))
    consumer.original = consumer.create_task_handler.return_value
    consumer.unknown = consumer.on_unknown_task
    DropUndecodable(consumer)
    return consumer


def received(body: Any = ((), {}, None)) -> Any:
    return MagicMock(
        payload=body, headers=HEADERS, acknowledged=False, delivery_info={"routing_key": "q"}
    )


def test_what_celery_trips_over_is_dropped(consumer: Any) -> None:
    consumer.original.side_effect = KeyError("kwargs")
    bad = received()
    consumer.create_task_handler()(bad)
    bad.reject_log_error.assert_called_once()


@pytest.mark.parametrize("error", [ConnectionError(), RuntimeError("the pool does not run")])
def test_what_is_not_the_messages_fault_ends_the_loop(consumer: Any, error: Exception) -> None:
    consumer.original.side_effect = error
    sound = received()
    with pytest.raises(type(error)):
        consumer.create_task_handler()(sound)
    sound.reject_log_error.assert_not_called()


def test_an_unknown_task_whose_failure_cannot_be_stored_is_dropped(consumer: Any) -> None:
    consumer.unknown.side_effect = OSError("the result store is full")
    bad = received()
    consumer.on_unknown_task(None, bad, KeyError("t"))
    bad.reject_log_error.assert_called_once()


def test_a_dropped_message_is_logged_in_one_line_without_its_body(
    consumer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bad: Any = Message(body="secret", content_type="text/" + "x" * 1000, delivery_info={})
    bad.ack_log_error = MagicMock()
    consumer.on_decode_error(bad, DecodeError("secret"))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "DecodeError" in record.getMessage()
    assert "secret" not in caplog.text
    assert len(record.getMessage()) < 300
    bad.ack_log_error.assert_called_once()
