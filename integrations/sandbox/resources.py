"""Services whose things are made and unmade over plain JSON: the base of inventory and shipping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from integrations.sandbox.describe import TEXT, About, Schema, items, record
from integrations.sandbox.service import Answer, Request, Route, Service, new_id


@dataclass(frozen=True, slots=True)
class Resource:
    """One sort of thing: where it lives, what its operations are called, which fields it needs."""

    path: str
    prefix: str
    make: str
    undo: str
    find: str
    undo_path: str
    made: str
    undone: str
    fields: Mapping[str, Schema]

    def routes(self) -> list[Route]:
        return [
            Route.make(self.make, "POST", self.path, self._making()),
            Route.make(self.undo, "POST", f"{self.path}/{{id}}/{self.undo_path}", self._undoing()),
            Route.make(self.find, "GET", self.path, self._finding()),
        ]

    def _making(self) -> About:
        takes = record({**self.fields, "reference": TEXT})
        return About("Make one; answered with it.", {201: self._thing()}, takes, refuses=(409, 422))

    def _undoing(self) -> About:
        return About("Undo one; harmless if it is undone.", {200: self._thing()})

    def _finding(self) -> About:
        takes = record({}, {"reference": TEXT, "key": TEXT})
        return About("Those made for a reference or by a key.", {200: self._list()}, takes)

    def _thing(self) -> Schema:
        status = {"enum": [self.made, self.undone]}
        own = {"id": TEXT, "key": TEXT, "reference": TEXT, "status": status}
        return record({**own, **self.fields})

    def _list(self) -> Schema:
        return record({"data": items(self._thing())})


@dataclass(slots=True)
class _Thing:
    id: str
    resource: Resource
    key: str
    reference: str
    fields: Mapping[str, Any]
    effect: int
    undone: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        state = self.resource.undone if self.undone else self.resource.made
        return {
            "id": self.id,
            "key": self.key,
            "reference": self.reference,
            "status": state,
            **self.fields,
            **self.extra,
        }


class ResourceService(Service):
    """Makes, unmakes and finds things of the resources it is given."""

    resources: ClassVar[Sequence[Resource]]
    refusal: ClassVar[tuple[int, str]]
    invalid = "invalid_field"
    errors = record({"error": record({"code": TEXT, "message": TEXT})})

    def __init_subclass__(cls) -> None:
        cls.routes = [route for resource in cls.resources for route in resource.routes()]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._things: dict[str, _Thing] = {}

    def perform(self, request: Request) -> Answer:
        resource = next(r for r in self.resources if request.operation in (r.make, r.undo, r.find))
        if request.operation == resource.make:
            return self._make(resource, request)
        if request.operation == resource.undo:
            return self._undo(resource, request)
        return self._find(resource, request)

    def refuse(self, request: Request) -> Answer:
        status, code = self.refusal
        return Answer(status, {"error": {"code": code, "message": "Refused."}})

    def error(self, status: int, code: str, message: str) -> Answer:
        return Answer(status, {"error": {"code": code, "message": message}}, saved=False)

    def reference(self, request: Request) -> str:
        thing = self._things.get(request.object_id)
        return thing.reference if thing else str(request.params.get("reference", ""))

    def clear(self) -> None:
        self._things.clear()

    def obstacle(self, request: Request) -> Answer | None:
        """A business reason not to make the thing asked for."""
        return None

    def extra(self) -> Mapping[str, Any]:
        """What the service adds to a thing it makes."""
        return {}

    def in_force(self) -> list[_Thing]:
        return [thing for thing in self._things.values() if not thing.undone]

    def _make(self, resource: Resource, request: Request) -> Answer:
        if obstacle := self.obstacle(request):
            return obstacle
        thing_id = new_id(resource.prefix)
        effect = self.effect(request, resource.made, thing_id)
        fields = {name: request.params[name] for name in resource.fields}
        thing = _Thing(
            thing_id,
            resource,
            request.key,
            effect.reference,
            fields,
            effect.seq,
            extra=self.extra(),
        )
        self._things[thing_id] = thing
        return Answer(201, thing.body(), [effect])

    def _undo(self, resource: Resource, request: Request) -> Answer:
        thing = self._things.get(request.object_id)
        if thing is None or thing.resource is not resource:
            return self.error(404, "not_found", "There is no such object.")
        if thing.undone:
            return Answer(200, thing.body())
        thing.undone = True
        effect = self.effect(request, resource.undone, thing.id, undoes=thing.effect)
        return Answer(200, thing.body(), [effect])

    def _find(self, resource: Resource, request: Request) -> Answer:
        things = [t for t in self._things.values() if t.resource is resource]
        for name in ("reference", "key"):
            if wanted := request.params.get(name):
                things = [t for t in things if getattr(t, name) == wanted]
        return Answer(200, {"data": [thing.body() for thing in things]})
