"""Where every request is received: fault, key, service, ledger, in that order and one at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from integrations.sandbox.capacity import Floor
from integrations.sandbox.faults import Fault, FaultBook, Kind
from integrations.sandbox.keys import KEPT, InUse, Keys, OtherRequest
from integrations.sandbox.ledger import Arrival, Recorder
from integrations.sandbox.service import Answer, Request, Service

_REPLAYED = "Idempotent-Replayed"
_NEVER_ANSWERED = {Kind.DROP_BEFORE, Kind.DROP_AFTER, Kind.LATE}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What to send, and how badly. No answer: close the connection."""

    answer: Answer | None
    manner: Kind | None
    delay: float

    @classmethod
    def of(cls, answer: Answer | None, fault: Fault | None) -> Delivery:
        """How an answer leaves under a fault."""
        if fault is None or answer is None:
            return cls(answer, None, 0.0)
        if fault.kind in _NEVER_ANSWERED:
            return cls(None, None, 0.0)
        delay = fault.seconds if fault.kind in (Kind.SLOW, Kind.DRIP) else 0.0
        return cls(answer, fault.kind, delay)


class Desk:
    """All services behind one lock, so that the ledger's order is the order of events."""

    def __init__(self, recorder: Recorder, services: Iterable[Service]) -> None:
        self.faults = FaultBook()
        self.floor = Floor()
        self.services = {service.name: service for service in services}
        self._recorder = recorder
        self._keys = {name: Keys() for name in self.services}
        self._lock = threading.Lock()
        self._era = 0

    def receive(self, request: Request) -> Delivery:
        """Decide, do and record what a request leads to. Raises ValueError for a bad fault."""
        with self._lock:
            service = self.services[request.service]
            unfit = service.unfit(request)
            reference = "" if unfit else service.reference(request)
            fault = self.faults.pick(
                service.name,
                request.operation,
                request.key,
                reference,
                request.headers.get("sandbox-fault", ""),
            )
            answer = service.turned_away(request) or unfit or self._answer(service, request, fault)
            delivery = Delivery.of(answer, fault)
            self._record(request, reference, fault, delivery, answer)
            return delivery

    def clear_faults(self) -> None:
        """From now on every request goes right: no rules, no queues, usual keys and tokens."""
        with self._lock:
            self.faults.clear()
            self.floor.clear()
            for keys in self._keys.values():
                keys.lifetime = KEPT
            for service in self.services.values():
                service.clear_faults()

    def remember_keys_for(self, seconds: float) -> None:
        """From now on every service forgets a key after so long."""
        with self._lock:
            for keys in self._keys.values():
                keys.lifetime = seconds

    def advance(self, seconds: float) -> None:
        """Let time pass for every service and its keys."""
        with self._lock:
            for keys in self._keys.values():
                keys.advance(seconds)
            for service in self.services.values():
                self._recorder.record(None, service.advance(seconds))

    def reset(self) -> None:
        """Begin anew: no rules, keys, objects or recorded events; late effects never come."""
        with self._lock:
            self._era += 1
            self.faults.clear()
            self.floor.clear()
            self._keys = {name: Keys() for name in self.services}
            for service in self.services.values():
                service.clear()
            self._recorder.clear()

    def _answer(self, service: Service, request: Request, fault: Fault | None) -> Answer | None:
        if fault is not None and fault.kind is Kind.DROP_BEFORE:
            return None
        if fault is not None and (broken := _broken(service, fault)):
            return broken
        try:
            stored = self._stored(service, request)
        except InUse:
            message = "An earlier request with this key is still being worked on."
            return service.error(409, "idempotency_key_in_use", message)
        except OtherRequest:
            message = "This key was first used for another request."
            return service.error(*service.other_request, message)
        return stored or self._fresh(service, request, fault)

    def _stored(self, service: Service, request: Request) -> Answer | None:
        if not service.remembers(request.method):
            return None
        stored = self._keys[service.name].stored(request.key, request.fingerprint)
        return replace(stored, headers={_REPLAYED: "true"}) if stored else None

    def _fresh(self, service: Service, request: Request, fault: Fault | None) -> Answer | None:
        """Perform a request seen for the first time, now or, if its effect is late, afterwards."""
        if fault is not None and fault.kind is Kind.LATE and request.writes:
            self._keys[service.name].store(request.key, request.fingerprint, None)
            timer = threading.Timer(fault.seconds, self._land, (service, request, self._era))
            timer.daemon = True
            timer.start()
            return None
        answer = self._perform(service, request, fault)
        if answer.saved:
            busy_for = fault.seconds if fault and fault.kind is Kind.SLOW else 0.0
            self._keep(service, request, answer, busy_for)
        return answer

    def _perform(self, service: Service, request: Request, fault: Fault | None) -> Answer:
        if fault is not None and fault.kind is Kind.REFUSE:
            return service.refuse(request)
        if fault is not None and fault.kind is Kind.ERROR:
            return replace(_internal_error(service), saved=True)
        return service.perform(request)

    def _keep(self, service: Service, request: Request, answer: Answer, busy_for: float) -> None:
        # Without the effects: an answer replayed is an effect that does not happen again.
        kept = replace(answer, effects=())
        self._keys[service.name].store(request.key, request.fingerprint, kept, busy_for)

    def _land(self, service: Service, request: Request, era: int) -> None:
        """Let a late effect happen."""
        with self._lock:
            if era == self._era:
                answer = service.perform(request)
                self._keep(service, request, answer, 0.0)
                self._recorder.record(None, answer.effects)

    def _record(
        self,
        request: Request,
        reference: str,
        fault: Fault | None,
        delivery: Delivery,
        answer: Answer | None,
    ) -> None:
        arrival = Arrival(
            service=request.service,
            operation=request.operation,
            key=request.key,
            reference=reference,
            fault=fault.kind if fault else "",
            status=delivery.answer.status if delivery.answer else None,
            replayed=answer is not None and _REPLAYED in answer.headers,
        )
        self._recorder.record(arrival, answer.effects if answer else ())


def _broken(service: Service, fault: Fault) -> Answer | None:
    """The answer of a service that fails before it looks at the request."""
    if fault.kind is Kind.ERROR and not fault.parameters.get("saved"):
        return _internal_error(service)
    if fault.kind is Kind.UNAVAILABLE:
        return _later(fault, service.error(503, "unavailable", "Try again later."))
    if fault.kind is Kind.RATE_LIMIT:
        return _later(fault, service.error(429, "rate_limit", "Try again later."))
    if fault.kind is Kind.QUOTA:
        return _later(fault, service.quota_spent())
    return None


def _internal_error(service: Service) -> Answer:
    return service.error(500, "internal_error", "Something went wrong here.")


def _later(fault: Fault, answer: Answer) -> Answer:
    wait = fault.parameters.get("retry-after")
    return replace(answer, headers={"Retry-After": wait}) if wait else answer
