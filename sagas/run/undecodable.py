"""Messages that nobody can decode: each is logged in one line, without its body, and dropped.

Celery's worker ends when a message's envelope is no JSON, when its headers lack an id, or when its
body is no task's. kombu can note on a message that it could not be read, and Celery's consumer has
a method for each kind of bad message. Here the first also takes what kombu raises for, and the
second say less: they would repeat the body in the log.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from uuid import uuid4

from celery import bootsteps, signals
from kombu import Consumer
from kombu.transport import virtual
from kombu.utils import json

logger = logging.getLogger("sagas.undecodable")

#: What code raises that meets data of another shape; not what a broker or a pool raises.
_MISSHAPEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class DropUndecodable(bootsteps.Step):
    """The bootstep of a worker's consumer that keeps such messages from ending it.

    It acts when the consumer is made, so it covers each of its connections.
    """

    requires = ("celery.worker.consumer.gossip:Gossip",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._consumer = consumer
        consumer.create_task_handler = self._guarded(consumer.create_task_handler)
        consumer.on_unknown_task = self._unknown_task(consumer.on_unknown_task)
        consumer.on_unknown_message = lambda body, message: self._drop(message, "it is no task")
        consumer.on_invalid_task = lambda body, message, error: self._drop(message, _name(error))
        consumer.on_decode_error = self._undecodable
        consumer.gossip.on_message = self._guarded_gossip(consumer.gossip.on_message)
        _note_undecodable(consumer.conninfo.transport)
        Consumer.on_decode_error = staticmethod(
            self._undecodable
        )  # those that have none of their own

    def _guarded(self, create: Callable[[], Callable[[Any], object]]) -> Callable[[], Any]:
        def create_guarded() -> Callable[[Any], object]:
            handle = create()

            def guarded(message: Any) -> object:
                reason = flaw(message)
                try:
                    if reason is None:
                        return handle(message)
                except _MISSHAPEN as error:
                    reason = _name(error)
                self._drop(message, reason)
                return None

            return guarded

        return create_guarded

    def _unknown_task(self, handle: Callable[..., object]) -> Callable[..., None]:
        def guarded(body: Any, message: Any, error: Exception) -> None:
            try:
                handle(body, message, error)
            except self._consumer.connection_errors:
                raise
            except Exception as failure:  # such as the result store, which is asked to note it
                logger.error("An unknown task's failure was not stored: %s.", _name(failure))
                self._drop(message, "its task is unknown")

        return guarded

    def _guarded_gossip(self, handle: Callable[..., object]) -> Callable[..., None]:
        def guarded(prepare: Any, message: Any) -> None:
            try:
                handle(prepare, message)
            except _MISSHAPEN as error:
                _log(message, _name(error))

        return guarded

    def _undecodable(self, message: Any, error: Exception) -> None:
        _log(message, _name(error))
        message.ack_log_error(logger, self._consumer.connection_errors)

    def _drop(self, message: Any, reason: str) -> None:
        if message.acknowledged:
            return
        _log(message, reason)
        message.reject_log_error(logger, self._consumer.connection_errors)
        signals.task_rejected.send(sender=self._consumer, message=message, exc=None)


def flaw(message: Any) -> str | None:
    """Return what makes this message none that a worker can perform; None if nothing does.

    Celery trips over some of these only later, when the pool reports back, where no one could tell
    which message it was.
    """
    try:
        body, headers = message.payload, message.headers
    except Exception as error:  # whatever a serializer raises
        return _name(error)
    if not isinstance(headers, Mapping):
        return "its headers are no mapping"
    fields = headers if "task" in headers else body  # which is where the first protocol has them
    if not isinstance(fields, Mapping):
        return "it is no task"
    if not all(isinstance(fields.get(name), str) for name in ("task", "id")):
        return "its task or its id is no text"
    if not _are_limits(fields.get("timelimit")):
        return "its time limits are not two numbers"
    if not (isinstance(body, Mapping) or _is_body(body)):
        return "its body is not arguments, keywords and links"
    return None


def _are_limits(limits: Any) -> bool:
    if limits is None:
        return True
    return (
        isinstance(limits, (list, tuple))
        and len(limits) == 2
        and all(limit is None or isinstance(limit, (int, float)) for limit in limits)
    )


def _is_body(body: Any) -> bool:
    if not isinstance(body, (list, tuple)) or len(body) != 3:
        return False
    args, kwargs, links = body
    if not isinstance(args, (list, tuple)) or not isinstance(kwargs, Mapping):
        return False
    return links is None or (
        isinstance(links, Mapping)
        and all(_are_links(links.get(name)) for name in ("callbacks", "errbacks", "chain"))
    )


def _are_links(links: Any) -> bool:
    return links is None or (
        isinstance(links, (list, tuple)) and all(isinstance(link, Mapping) for link in links)
    )


# --- before there is a message -------------------------------------------------------------


class _Message(virtual.Message):
    """A virtual transport's message, such as Redis', that notes if it could not be read."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        try:
            _demand_envelope(payload)
            super().__init__(payload, channel=channel, **options)
        except _MISSHAPEN:
            self.errors = [sys.exc_info()]  # what kombu hands to on_decode_error
            super().__init__(_empty_envelope(), channel=channel, **options)


def _demand_envelope(payload: Any) -> None:
    """Raise if that lacks what the transport needs to keep a message until it is acknowledged."""
    properties = payload["properties"]
    properties["delivery_info"]["exchange"], properties["delivery_info"]["routing_key"]
    if not isinstance(properties["delivery_tag"], (str, int)):
        raise TypeError("the delivery tag is no text")
    if not isinstance(payload.get("headers") or {}, dict):
        raise TypeError("the headers are no mapping")


def _empty_envelope() -> dict[str, Any]:
    where = {"exchange": "", "routing_key": ""}
    return {"properties": {"delivery_tag": str(uuid4()), "delivery_info": where}}


def _loads(text: Any) -> Any:
    """Read what Redis gave; None, which is no envelope, if it is no JSON."""
    try:
        return json.loads(text)
    except _MISSHAPEN:
        return None


def _note_undecodable(transport: Any) -> None:
    """Let this process' channels make messages even of what is none."""
    if not isinstance(transport, virtual.Transport):
        return  # RabbitMQ itself refuses an envelope that is none
    virtual.Channel.Message = _Message
    if transport.driver_type == "redis":
        redis: Any = import_module("kombu.transport.redis")
        redis.loads = _loads  # there is no hook between Redis' answer and its JSON


def _name(error: BaseException) -> str:
    """Return an error without its text, which may repeat the body."""
    return type(error).__name__


def _log(message: Any, reason: str) -> None:
    place = message.delivery_info if isinstance(message.delivery_info, Mapping) else {}
    logger.error(
        "Dropped a message that no worker can read: %s (routing key %.100r, content type %.100r).",
        reason,
        place.get("routing_key"),
        message.content_type,
    )
