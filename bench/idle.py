"""`python -m bench.idle`: what a worker at rest asks of the database, without and with history.

Rounds of its sweep, its beats and its looks at batches, as many as so many minutes have, one right
after the other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from project.engines import Engines
from project.supervisor import Supervisor

_STORE = """
INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
  revision, halt, attention, created_at, started_at, finished_at)
SELECT gen_random_uuid(), 'idle', 1, 'idle', 'stored:' || n, '{"number": 1}', 'succeeded', 1, 5,
  '', '', now(), now(), now() FROM generate_series(1, %s) n"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=1000, help="of rest (default 1000)")
    parser.add_argument("--stored", type=int, default=1_000_000, help="finished runs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idle-") as folder:
        engines = Engines(Path(folder), {}, Supervisor())
        try:
            os.environ |= engines.addresses | {"DJANGO_SETTINGS_MODULE": "project.settings"}
            _measure(asked.minutes, asked.stored)
        finally:
            engines.stop()


def _measure(minutes: int, stored: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    empty = _rest(minutes)
    with connection.cursor() as cursor:
        cursor.execute(_STORE, [stored])
        cursor.execute("VACUUM ANALYZE sagas_run")
    full = _rest(minutes)
    connection.close()
    print(f"{minutes} minutes at rest, of one worker at the default settings")
    for name, (statements, seconds) in (("empty", empty), (f"{stored} runs stored", full)):
        rate = statements / minutes / 60
        print(
            f"{name:>22}: {statements} statements, {rate:.2f} a second, "
            f"{1e6 * seconds / statements:.0f} us each"
        )
    print(f"{'ratio of the times':>22}: {full[1] / empty[1]:.2f}")


def _rest(minutes: int) -> tuple[int, float]:
    """The statements of so many minutes, and the seconds that they took."""
    from sagas import db
    from sagas.conf import conf
    from sagas.operate.batch_run import resend_lapsed
    from sagas.run import heartbeat
    from sagas.run.recover import Sweep
    from sagas.signals import swept

    counted, real = 0, db.execute
    sweep = Sweep()

    def counting(sql: str, params: object = ()) -> object:
        nonlocal counted
        counted += 1
        return real(sql, params)  # type: ignore[arg-type]

    heartbeat.beat()
    db.execute = counting  # type: ignore[assignment]
    try:
        began = time.perf_counter()
        for _ in range(round(minutes * 60 / conf().SWEEP_SECONDS)):
            sweep()
            swept.send_robust(sender=None)  # others' turn: the inbox, and the breakers
        for _ in range(round(minutes * 60 / (conf().LEASE_SECONDS / 4))):
            heartbeat.beat()
        for _ in range(round(minutes * 60 / (conf().LEASE_SECONDS / 3))):
            resend_lapsed()
        return counted, time.perf_counter() - began
    finally:
        db.execute = real


if __name__ == "__main__":
    main()
