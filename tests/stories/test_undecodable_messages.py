"""Stories of messages that nobody can decode, on the queues of real workers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import amqp
import pytest
from kombu import Connection

from sagas.states import RunStatus
from tests.project.private_redis import private_redis
from tests.project.rabbitmq import virtual_host
from tests.stories.test_brokers import begin
from tests.stories.waiting import at_rest, until
from tests.stories.worker_process import WorkerProcess, worker_process

pytestmark = pytest.mark.django_db(transaction=True)

DROPPED = "Dropped a message"
SECRET = "4111-1111-1111-1111"  # in every body: it must not be logged
BODY = [[SECRET], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
HEADERS = {"lang": "py", "task": "sagas.step", "id": "0", "argsrepr": SECRET}


def text(value: Any) -> str:
    return json.dumps(value)


#: What is wrong with a task's message, as a broker of any kind may carry it.
CONTENT: dict[str, dict[str, Any]] = {
    "body is plain text": {"body": f"hello {SECRET}"},
    "body is a number": {"body": "42"},
    "body is a number, without headers": {"body": "42", "headers": {}},
    "body is a mapping": {"body": text({"secret": SECRET})},
    "body is cut": {"body": text(BODY)[:-5]},
    "body is empty": {"body": ""},
    "body has two parts": {"body": text(BODY[:2])},
    "body's third part is a number": {"body": text([*BODY[:2], 7])},
    "body's chain is a number": {"body": text([*BODY[:2], {"chain": 7}])},
    "body's errbacks are a number": {"body": text([*BODY[:2], {"errbacks": [7]}])},
    "body is deep": {"body": "[" * 100_000},
    "body has an unknown type": {"body": text({"__type__": "uuid", "__value__": 5})},
    "content type is unknown": {"content_type": "application/x-nonsense"},
    "content type is pickle": {"content_type": "application/x-python-serialize"},
    "compression is unknown": {"headers": {**HEADERS, "compression": "nonsense"}},
    "task is a list": {"headers": {**HEADERS, "task": ["sagas.step"]}},
    "task has no id": {"headers": {"task": "sagas.step"}},
    "id is a list": {"headers": {**HEADERS, "id": [1]}},
    "time limit is a number": {"headers": {**HEADERS, "timelimit": 5}},
    "time limit is text": {"headers": {**HEADERS, "timelimit": ["a", "b"]}},
    "eta is no time": {"headers": {**HEADERS, "eta": "tomorrow"}},
    "old protocol without id": {"headers": {}, "body": text({"task": "sagas.step", "args": []})},
    "old protocol, args are a number": {
        "headers": {},
        "body": text({"task": "sagas.step", "id": "0", "args": 5, "kwargs": 7}),
    },
}


def envelope(
    body: str = text(BODY),
    headers: Any = HEADERS,
    content_type: str = "application/json",
    content_encoding: str = "utf-8",
    **properties: Any,
) -> dict[str, Any]:
    """A message as kombu writes it into Redis."""
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "headers": headers,
        "content-type": content_type,
        "content-encoding": content_encoding,
        "properties": {
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "sagas"},
            "body_encoding": "base64",
            "correlation_id": "0",
            "reply_to": "",
            **properties,
        },
    }


def without(name: str) -> dict[str, Any]:
    whole = envelope()
    del whole[name]
    return whole


#: What only Redis can carry: the envelope itself is wrong.
ENVELOPES: dict[str, str | bytes] = {
    "plain text": f"hello {SECRET}",
    "no UTF-8": b"\xff\xfe\x00",
    "a number": "42",
    "null": "null",
    "a list": text([SECRET]),
    "an empty mapping": "{}",
    "cut": text(envelope())[:-9],
    "deep": "[" * 100_000,
    "an unknown type": text({"__type__": "nonsense", "__value__": 5}),
    "a broken type": text({"__type__": "uuid", "__value__": 5}),
    "base64 is bad": text({**envelope(), "body": "x"}),
    "body is a number": text({**envelope(), "body": 42}),
    "body is missing": text(without("body")),
    "headers are missing": text(without("headers")),
    "headers are a list": text({**envelope(), "headers": [SECRET]}),
    "headers are text": text({**envelope(), "headers": "task"}),
    "properties are missing": text(without("properties")),
    "properties are a number": text({**envelope(), "properties": 1}),
    "body encoding is unknown": text(envelope(body_encoding="nonsense")),
    "delivery tag is a mapping": text(envelope(delivery_tag={"a": 1})),
    "delivery tag is null": text(envelope(delivery_tag=None)),
    "delivery info is a number": text(envelope(delivery_info=7)),
    "delivery info is empty": text(envelope(delivery_info={})),
}

#: Where workers listen beside their queues, and what is no command or event there.
BROADCASTS = {
    "a command is plain text": ("celery.pidbox", f"hello {SECRET}"),
    "a command is a number": ("celery.pidbox", "42"),
    "an event is plain text": ("celeryev/worker.heartbeat", f"hello {SECRET}"),
    "an event is a number": ("celeryev/worker.heartbeat", "42"),
    "an event has a number in it": ("celeryev/worker.heartbeat", text(envelope("42", headers={}))),
}


def test_undecodable_messages_on_redis_are_dropped_and_the_worker_goes_on(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    with private_redis(tmp_path / "broker") as server, server.client() as client:
        prefix = process_environment["REDIS_PREFIX"]
        queued = ENVELOPES | {kind: text(envelope(**parts)) for kind, parts in CONTENT.items()}

        def put(kind: str) -> None:
            if kind in BROADCASTS:
                channel, message = BROADCASTS[kind]
                assert client.publish(f"{prefix}/0.{channel}", message) == 1
            else:
                client.lpush(f"{prefix}sagas", queued[kind])

        environment = process_environment | {"BROKER_URL": server.url()}
        put_before_a_worker([*queued, *BROADCASTS], put, environment, tmp_path)
        assert not any(client.exists(prefix + name) for name in ("sagas", "unacked"))


def test_undecodable_messages_on_rabbitmq_are_dropped_and_the_worker_goes_on(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    with virtual_host() as host, Connection(host.url()) as connection:
        channel: Any = connection.default_channel

        def put(kind: str) -> None:
            parts = {"content_type": "application/json", "content_encoding": "utf-8"} | CONTENT[
                kind
            ]
            body, headers = parts.pop("body", text(BODY)), parts.pop("headers", HEADERS)
            message = amqp.Message(body.encode(), application_headers=headers, **parts)
            channel.basic_publish(message, exchange="", routing_key="sagas")

        environment = process_environment | {"BROKER_URL": host.url()}
        put_before_a_worker(list(CONTENT), put, environment, tmp_path)
        until(lambda: host.unsettled("sagas") == 0)


def put_before_a_worker(
    kinds: list[str], put: Callable[[str], None], environment: dict[str, str], folder: Path
) -> None:
    """Put one bad message of each kind before a worker; it drops them, and then performs a run."""
    environment = environment | {
        "DJANGO_SETTINGS_MODULE": "tests.stories.settings",
        "SAGAS": json.dumps({"SWEEP_SECONDS": 0.2, "RESEND_SECONDS": 1}),
    }
    options = ("--concurrency=1", "--queues=sagas,payments", "--without-mingle")
    with worker_process(environment, folder / "log", *options) as worker:
        assert at_rest(begin("hopping", folder, "before"), 90).status == RunStatus.SUCCEEDED
        for number, kind in enumerate(kinds, 1):
            put(kind)
            until(partial(dropped, worker, number), 30, partial(story, worker, kind))
            assert worker.lives(), story(worker, kind)
        assert at_rest(begin("hopping", folder, "after")).status == RunStatus.SUCCEEDED
        assert worker.log().count(DROPPED) == len(kinds)
        assert "Traceback" not in worker.log()
        assert SECRET not in worker.log()


def dropped(worker: WorkerProcess, number: int) -> bool:
    """Whether it has dropped so many; or ended, so that nobody waits any longer."""
    return worker.log().count(DROPPED) >= number or not worker.lives()


def story(worker: WorkerProcess, kind: str) -> str:
    return f"a message of which this is wrong: {kind}\n{worker.log()[-3000:]}"
