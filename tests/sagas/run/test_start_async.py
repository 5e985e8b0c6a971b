"""Starting runs from async code, as an ASGI server calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, override_settings
from django.urls import path

from sagas.api import KeyConflict, astart, start
from sagas.models import Run
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow
from tests.sagas.stage import Known

T = TypeVar("T")
_communicator: Any = ApplicationCommunicator  # untyped

pytestmark = pytest.mark.django_db(transaction=True)


async def by_itself(request: HttpRequest) -> HttpResponse:
    """An async view that starts a run."""
    started = await astart("flow", Payload(number=1), key=request.GET["key"], tags=["async"])
    await sync_to_async(lambda: connection.close())()  # under ASGI nobody uses its thread again
    return JsonResponse({"id": str(started.id), "created": started.created})


async def with_own_rows(request: HttpRequest) -> HttpResponse:
    """An async view whose rows commit together with the run, or do not."""

    @transaction.atomic
    def both() -> None:
        start("flow", Payload(), key=f"{request.GET['key']}:row")  # stands for a row of one's own
        start("flow", Payload(), key=request.GET["key"])
        if "fail" in request.GET:
            raise ZeroDivisionError

    try:
        await sync_to_async(both, thread_sensitive=True)()
    except ZeroDivisionError:
        return HttpResponse(status=409)
    return HttpResponse(status=204)


urlpatterns = [path("by-itself", by_itself), path("with-own-rows", with_own_rows)]


def awaited(answer: Awaitable[T]) -> T:
    """Wait for it, and close the connection of the thread that async code uses for sync code."""

    async def waiting() -> T:
        try:
            return await answer
        finally:
            await sync_to_async(lambda: connection.close())()

    return asyncio.run(waiting())


@pytest.fixture(autouse=True)
def saga(known: Known, post: Post) -> None:
    known(flow(["a"]))


@override_settings(ROOT_URLCONF=__name__)
def test_an_async_view_starts_a_run_that_has_committed_when_it_answers(post: Post) -> None:
    async def calls() -> list[Any]:
        client = AsyncClient()
        return [(await client.get("/by-itself", {"key": "k"})).json() for _ in range(2)]

    first, again = awaited(calls())
    assert (first["created"], again) == (True, {"id": first["id"], "created": False})
    assert Run.objects.get().tags == ["async"]


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize("fails", [False, True])
def test_own_rows_and_the_run_commit_together_in_a_sync_function(fails: bool) -> None:
    query = {"key": "k"} | ({"fail": "1"} if fails else {})
    answer = awaited(AsyncClient().get("/with-own-rows", query))
    assert answer.status_code == (409 if fails else 204)
    assert Run.objects.count() == (0 if fails else 2)


@override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
def test_forty_requests_at_once_through_asgi_are_twenty_runs() -> None:
    async def request(number: int) -> int:
        scope = {"type": "http", "method": "GET", "path": "/by-itself", "headers": []}
        query = {"query_string": f"key=order:{number % 20}".encode()}
        server = _communicator(get_asgi_application(), {**scope, **query})
        await server.send_input({"type": "http.request", "body": b""})
        status: int = (await server.receive_output(10))["status"]
        await server.receive_output(10)
        await server.wait()
        return status

    async def all_at_once() -> list[int]:
        return list(await asyncio.gather(*(request(number) for number in range(40))))

    assert set(awaited(all_at_once())) == {200}
    assert Run.objects.count() == 20


def test_what_start_refuses_astart_refuses() -> None:
    async def conflict() -> None:
        key = uuid4().hex
        await astart("flow", {"number": 1}, key=key)
        await astart("flow", {"number": 2}, key=key)

    with pytest.raises(KeyConflict):
        awaited(conflict())
