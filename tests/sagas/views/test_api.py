from __future__ import annotations

import json
import re
from typing import Any

import pytest

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
        ("get", "/api/runs/{run_id}"),
        ("post", "/api/runs/{run_id}/cancel"),
        ("post", "/api/runs/{run_id}/retry"),
        ("post", "/api/runs/{run_id}/skip"),
        ("post", "/api/runs/{run_id}/mark"),
        ("post", "/api/runs/{run_id}/compensate"),
        ("post", "/api/runs/{run_id}/resolve"),
        ("post", "/api/runs/{run_id}/restart"),
        ("post", "/api/runs/{run_id}/pause"),
        ("post", "/api/runs/{run_id}/resume"),
        ("post", "/api/runs/{run_id}/assign"),
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
        ("post", "/api/signals/{name}/{correlation}"),
    }


def test_every_refusal_is_documented_as_a_problem(schema: Any) -> None:
    start = schema["paths"]["/api/sagas/{name}/runs"]["post"]["responses"]
    assert set(start) == {"202", "400", "401", "403", "404", "409", "413", "415", "429"}
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
