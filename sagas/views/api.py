"""The API itself: its doors, its documentation, and who may come in."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from pydantic import BaseModel

from sagas.views import (
    approvals,
    batches,
    definitions,
    holds,
    problems,
    reading,
    runs,
    signals,
    verbs,
)
from sagas.views.authentication import Session, Token


class FieldProblem(BaseModel):
    """One thing that is wrong with the input."""

    field: str
    message: str


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] = []


class SagasAPI(NinjaAPI):
    """Adds to the documentation what every operation may answer besides success."""

    def get_openapi_schema(self, **where: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**where)
        problem = Problem.model_json_schema(ref_template=REF_TEMPLATE)
        schema["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
        for operations in schema["paths"].values():
            for method, operation in operations.items():
                operation["responses"] |= _refusals(method, operation)
        return schema


def _refusals(method: str, operation: dict[str, Any]) -> dict[int, Any]:
    body, given = "requestBody" in operation, operation["parameters"]
    read = body or any(parameter["in"] != "path" for parameter in given)
    statuses = [401, 403, 429]
    statuses += [400] if read else []  # what does not fit in a path is not there: 404
    statuses += [404] if given or body else []
    statuses += [409] if method == "post" else []
    statuses += [503] if operation["operationId"] == "start_run" else []  # its backlog is full
    statuses += [413, 415] if body else []
    return {status: _refusal(status) for status in sorted(statuses)}


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": REF_TEMPLATE.format(model="Problem")}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {problems.CONTENT_TYPE: {"schema": schema}},
    }


api = SagasAPI(
    title="Sagas",
    version="1",
    description="Start runs of sagas, follow them, cancel them, and send them signals.",
    urls_namespace="sagas-api",
    auth=[Token(), Session()],
)
problems.install(api)
for _part in (definitions, runs, reading, signals, verbs, holds, approvals, batches):
    api.add_router("", _part.router)
