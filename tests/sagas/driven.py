"""Runs for tests that look at them: carried as far as they go without waiting, by no worker."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from pydantic import BaseModel

from sagas.define.saga import Definition
from sagas.run.recover import nudge
from sagas.run.start import start
from sagas.testing.post import Post


def driven(saga: Definition, payload: BaseModel, key: str = "order:1") -> UUID:
    """The id of a run of this saga, which the registry must know."""
    run_id = start(saga, payload, key=key).id
    carry_on(run_id)
    return run_id


def carry_on(run_id: UUID) -> None:
    """Perform what is due now, and what becomes due by it."""
    with TemporaryDirectory() as place, Post(Path(place) / "post").open() as post:
        while nudge(run_id):
            while post.deliver():
                pass
