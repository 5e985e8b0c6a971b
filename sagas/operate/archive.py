"""Archive: move runs that have long been over from the database into a compressed file."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from uuid import UUID

from sagas import db, retire
from sagas.errors import SagaError
from sagas.operate import anchor, audit
from sagas.states import TERMINAL_RUNS

logger = logging.getLogger("sagas.archive")

FORMAT = 1  #: of the file's lines; raised when one of their names changes its meaning

_TERMINAL = ", ".join(f"'{status}'" for status in sorted(TERMINAL_RUNS))
_OVER = f"r.status IN ({_TERMINAL}) AND r.finished_at < %(before)s"
_CUT_OFF = "SELECT clock_timestamp() - %s::float8 * interval '1 second'"
_COUNT = f"SELECT count(*) FROM sagas_run r WHERE {_OVER}"
# One statement, so one moment; and PostgreSQL's own text, so nothing is lost on the way.
_BATCH = f"""
SELECT r.id, r.revision, jsonb_build_object(
  'format', {FORMAT},
  'run', to_jsonb(r),
  'steps', coalesce((SELECT jsonb_agg(to_jsonb(s) ORDER BY s.direction DESC, s.position)
    FROM sagas_step s WHERE s.run_id = r.id), '[]'),
  'events', coalesce((SELECT jsonb_agg(to_jsonb(e) ORDER BY e.id)
    FROM sagas_event e WHERE e.run_id = r.id), '[]'),
  'originals', coalesce((SELECT jsonb_agg(to_jsonb(o) ORDER BY o.id)
    FROM sagas_original o WHERE o.run_id = r.id), '[]'),
  'signals', coalesce((SELECT jsonb_agg(to_jsonb(g) ORDER BY g.id)
    FROM sagas_signal g JOIN sagas_step s ON s.id = g.taken_by_id WHERE s.run_id = r.id), '[]')
  )::text
FROM sagas_run r WHERE r.id > %(after)s AND {_OVER} ORDER BY r.id LIMIT %(batch)s"""


@dataclass(slots=True)
class Tally:
    """How far an archive has come: runs in the file, runs removed, bytes of the file."""

    exported: int = 0
    removed: int = 0
    size: int = 0


def eligible(older: timedelta) -> int:
    """How many runs have been over for longer than that."""
    return int(db.execute(_COUNT, {"before": _cut_off(older)})[0][0])


def archive(older: timedelta, path: Path, batch: int = 100, *, by: audit.Actor) -> Iterator[Tally]:
    """Write runs that have been over for longer than that into a new file, and remove them.

    Batch by batch: what it wrote is on the disk before the first run of it is removed, in a short
    transaction that waits for nobody. A run that somebody holds or has written to meanwhile stays,
    for the next archive. Each batch is a gzip member, so a file whose archive was ended half-way
    is good up to its last whole batch, and nothing after that was removed.

    Args:
        older: how long ago a run must have finished.
        path: the file, which must not exist; without any run to archive none is made.
        batch: how many runs are held in memory, and removed, at once.
        by: who has it done. The audit says so before anything is written, and with each batch
            that is removed, in its transaction.

    Yields:
        the tally after each batch, always the same object.

    Raises:
        SagaError: the file exists, or cannot be written.
    """
    _anchor()
    params = {"before": _cut_off(older), "after": UUID(int=0), "batch": batch}
    tally = Tally()
    with _File(path) as file:
        while rows := db.execute(_BATCH, params):
            if not tally.exported:  # what is in the file then is out of the database's hands
                audit.append(
                    actor=by,
                    verb="archive",
                    reason="",
                    subject=f"runs over for {older} into {path}",
                )
            tally.size = file.add("".join(f"{line}\n" for _, _, line in rows))
            tally.exported += len(rows)
            tally.removed += _removed({run_id: seen for run_id, seen, _ in rows}, path, by)
            params["after"] = rows[-1][0]
            yield tally


def _anchor() -> None:
    """What is not anchored cannot be removed where anchors are taken."""
    try:
        if anchor.is_used():
            anchor.take()
    except SagaError as error:
        logger.warning("%s Runs that ended after the last anchor stay.", error)


@db.transacted
def _removed(revisions: Mapping[UUID, int], path: Path, by: audit.Actor) -> int:
    # What was anchored half would be missed: so either a run's events all are, or none ever was.
    removed = retire.remove(revisions, anchor.hold_still())
    gone = sorted(removed.runs)
    if gone:
        audit.append(
            actor=by,
            verb="archive",
            reason="",
            subject=f"{len(gone)} runs removed, kept in {path}",
            details={
                "runs": len(gone),
                "first": str(gone[0]),
                "last": str(gone[-1]),
                "events": anchor.statement(removed),
            },
        )
    return len(gone)


def _cut_off(older: timedelta) -> datetime:
    moment: datetime = db.execute(_CUT_OFF, [older.total_seconds()])[0][0]
    return moment


class _File:
    """A new file that is made when something is added; each addition is whole and on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> _File:
        if self._path.exists():
            raise SagaError(f"The file {str(self._path)!r} exists. Give the archive a new name.")
        if not self._path.parent.is_dir():
            raise SagaError(f"There is no directory {str(self._path.parent)!r}.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            empty = not os.fstat(self._file.fileno()).st_size
            self._file.close()
            if empty:  # the very first addition failed: leave the name to the next archive
                self._path.unlink(missing_ok=True)

    def add(self, text: str) -> int:
        """Append a text and wait until it is on the disk. Gives the file's size."""
        try:
            if self._file is None:
                self._file = self._made()
            return self._appended(self._file, gzip.compress(text.encode(), mtime=0))
        except OSError as error:
            raise SagaError(
                f"The file {str(self._path)!r} cannot be written: {error}. "
                "No run that it lacks was removed."
            ) from None

    def _made(self) -> BinaryIO:
        # For its owner only: payloads are personal data. Unbuffered: closing writes nothing more.
        made = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._persist_name()
        return os.fdopen(made, "wb", buffering=0)

    def _persist_name(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _appended(self, file: BinaryIO, data: bytes) -> int:
        good = file.tell()
        try:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(good)  # half a member would be an error to whoever reads the file
            raise
        return good + len(data)
