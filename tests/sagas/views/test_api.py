from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

import pytest
from ninja import Schema

from tests.sagas.views.callers import Caller


@pytest.fixture
def schema(nobody: Caller) -> Any:
    return nobody.get("/api/openapi.json").json()


def test_the_documentation_lists_every_door(schema: Any) -> None:
    doors = {(m, path) for path, methods in schema["paths"].items() for m in methods}
    assert doors == {
        ("get", "/api/sagas"),
        ("get", "/api/sagas/{name}"),
        ("post", "/api/sagas/{name}/runs"),
        ("get", "/api/runs"),
        ("get", "/api/runs/{run_id}"),
        ("get", "/api/runs/{run_id}/results"),
        ("post", "/api/runs/{run_id}/cancel"),
        ("post", "/api/runs/{run_id}/preview"),
        ("post", "/api/runs/{run_id}/retry"),
        ("post", "/api/runs/{run_id}/skip"),
        ("post", "/api/runs/{run_id}/mark"),
        ("post", "/api/runs/{run_id}/compensate"),
        ("post", "/api/runs/{run_id}/resolve"),
        ("post", "/api/runs/{run_id}/restart"),
        ("post", "/api/runs/{run_id}/pause"),
        ("post", "/api/runs/{run_id}/resume"),
        ("post", "/api/runs/{run_id}/assign"),
        ("post", "/api/runs/{run_id}/migrate"),
        ("get", "/api/holds"),
        ("post", "/api/holds"),
        ("post", "/api/holds/{hold_id}/lift"),
        ("get", "/api/approvals"),
        ("post", "/api/approvals/{approval_id}/approve"),
        ("post", "/api/approvals/{approval_id}/decline"),
        ("post", "/api/approvals/{approval_id}/withdraw"),
        ("post", "/api/batches"),
        ("get", "/api/batches/{batch_id}"),
        ("get", "/api/batches/{batch_id}/items"),
        ("post", "/api/batches/{batch_id}/confirm"),
        ("post", "/api/batches/{batch_id}/stop"),
        ("get", "/api/signals"),
        ("post", "/api/signals/{name}/{correlation}"),
    }


def test_every_refusal_is_documented_as_a_problem(schema: Any) -> None:
    start = schema["paths"]["/api/sagas/{name}/runs"]["post"]["responses"]
    assert set(start) == {"202", "400", "401", "403", "404", "409", "413", "415", "429", "503"}
    refusals = {s: r for s, r in start.items() if s != "202"}
    assert all(list(r["content"]) == ["application/problem+json"] for r in refusals.values())


def test_every_reference_of_the_schema_leads_somewhere(schema: Any) -> None:
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema)):
        place = schema
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_the_documentation_page_brings_no_script_or_style_of_its_own(nobody: Caller) -> None:
    page = nobody.get("/api/docs").content.decode()
    scripts = re.findall(r"<script(.*?)>", page)
    assert scripts
    assert all("src=" in s or 'type="application/json"' in s for s in scripts)
    assert not re.search(r"<style|style=|https?://", page)


def test_no_two_shapes_have_the_same_name() -> None:
    """Of two, the description would hold only one, and answers with the other would violate it."""
    shapes: dict[str, set[type]] = {}
    for shape in _shapes():
        shapes.setdefault(shape.__name__, set()).add(shape)
    assert len(shapes) > 20
    assert {name: found for name, found in shapes.items() if len(found) > 1} == {}


def _shapes() -> Iterator[type]:
    """Every model and enum in what the API takes and gives."""
    open_shapes: list[Any] = list(Schema.__subclasses__())
    seen: list[Any] = []
    while open_shapes:
        if (shape := open_shapes.pop()) in seen:
            continue
        seen.append(shape)
        if isinstance(shape, type) and issubclass(shape, (Schema, Enum)):
            if shape.__name__ != "NinjaResponseSchema":  # which wraps each of them
                yield shape
            open_shapes += shape.__subclasses__()
        fields = getattr(shape, "model_fields", {}).values()
        open_shapes += [*get_args(shape), *(field.annotation for field in fields)]
