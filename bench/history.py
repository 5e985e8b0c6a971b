"""A long history, written without the engine: runs of several sagas in every state, as they age.

Of a million runs nine in ten succeeded and one in a hundred needs a person. Of those that are not
over, the newest are at work, some are stuck, and the others wait for hours. Unfinished runs have
their steps and events, and so have some that are over.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection

#: Ids are drawn as the engine draws them, at the times at which these runs were started.
_RUNS = """
INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, tags, status, epoch,
  revision, halt, attention, error_group, owner, created_at, started_at, finished_at, wake_at)
SELECT
  (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(n::text), 1, 3) || 'a' || substr(md5(n::text), 5, 15))::uuid,
  saga, 1, 'stored', 'order:' || n, '{"number": 1}',
  CASE WHEN n %% 20 = 0 THEN ARRAY['priority', 'region-' || n %% 7] WHEN n %% 5000 = 1
    THEN ARRAY['launch'] ELSE '{}' END,
  status, 1, 5, '', CASE status WHEN 'needs_attention' THEN 'charge: refused' ELSE '' END,
  CASE WHEN status IN ('needs_attention', 'compensated')
    THEN 'charge: card ' || chr(97 + n %% 23) || ' refused with …' ELSE '' END,
  CASE WHEN status = 'needs_attention' AND n %% 3 = 0 THEN 'ann' ELSE '' END,
  at, CASE WHEN status <> 'pending' THEN at + interval '10 ms' END,
  CASE WHEN status IN ('succeeded', 'compensated', 'resolved')
    THEN at + (1 + n %% 40) * interval '1 second' END,
  CASE WHEN status IN ('pending', 'running', 'compensating')
    THEN now() + CASE WHEN n %% 100 = 7 THEN -4000 WHEN n > 0.99 * %(runs)s THEN n %% 60
      ELSE 3600 + n %% 200000 END * interval '1 second' END
FROM (
  SELECT n, now() - ((%(runs)s - n) * (interval '30 days' / %(runs)s)) - interval '5 s' AS at,
    (ARRAY['order-fulfilment', 'order-fulfilment', 'refund', 'subscription', 'payout'])[1 + n %% 5]
      AS saga,
    CASE WHEN r < 900 THEN 'succeeded' WHEN r < 950 THEN 'compensated'
      WHEN r < 960 THEN 'needs_attention' WHEN r < 965 THEN 'resolved'
      WHEN r < 970 THEN 'pending' WHEN r < 995 THEN 'running' ELSE 'compensating' END AS status
  FROM (SELECT n, ('x' || substr(md5('s' || n), 1, 6))::bit(24)::int %% 1000 AS r
        FROM generate_series(%(first)s, %(runs)s) n) drawn) made"""

_STEPS = """
INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes, losses,
  in_doubt, generation, due_at, limit_at, worker, signal, correlation, error, result)
SELECT id, name, 'forward', place, status, (status <> 'pending')::int, 1, 0, 0, false, 1,
  CASE WHEN status IN ('ready', 'unknown', 'waiting')
    THEN now() + interval '60 s' - CASE WHEN tail = '77' THEN interval '2 hours' ELSE '0' END END,
  CASE WHEN status = 'in_flight' THEN now() + interval '60 s' END,
  CASE WHEN status = 'in_flight' THEN 'worker-' || place ELSE '' END, '', '', '', '{}'
FROM (
  SELECT r.id, right(r.id::text, 2) AS tail, names.name, names.place,
    CASE WHEN r.status IN ('succeeded', 'compensated', 'resolved') OR names.place < at
        THEN 'succeeded'
      WHEN names.place > at THEN 'pending'
      WHEN r.status = 'needs_attention' THEN 'failed'
      ELSE (ARRAY['ready', 'in_flight', 'waiting', 'unknown'])[1 + ascii(right(r.id::text, 1)) %% 4]
    END AS status
  FROM sagas_run r
  JOIN (VALUES ('reserve_stock', 0), ('authorize_payment', 1), ('capture_payment', 2),
    ('book_courier', 3), ('notify_customer', 4)) AS names(name, place) ON true
  CROSS JOIN LATERAL (SELECT ascii(right(r.business_key, 1)) %% 5 AS at) stands
  WHERE (r.status NOT IN ('succeeded', 'compensated', 'resolved') OR right(r.id::text, 1) = '0')
    AND NOT EXISTS (SELECT 1 FROM sagas_step s WHERE s.run_id = r.id)
) rows"""

_EVENTS = """
INSERT INTO sagas_event (run_id, at, step, direction, old, new, attempt, epoch, worker, data)
SELECT s.run_id, now(), s.name, 'forward', 'ready', 'in_flight', 1, 1, '', '{}'
FROM sagas_step s WHERE s.status <> 'pending'
  AND NOT EXISTS (SELECT 1 FROM sagas_event e WHERE e.run_id = s.run_id)"""

_LARGE = """
WITH made AS (
  INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
    revision, halt, attention, error_group, created_at, started_at)
  VALUES (%(id)s, 'large', 1, 'large', 'large:1', '{}', 'needs_attention', 1, 9, '', 'refused',
    's1: refused', now() - interval '1 day', now() - interval '1 day')),
steps AS (
  INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes, losses,
    in_doubt, generation, worker, signal, correlation, error, result)
  SELECT %(id)s, 's' || n, 'forward', n, 'succeeded', 10, 10, 0, 0, false, 1, 'w', '', '', '', '{}'
  FROM generate_series(0, 199) n)
INSERT INTO sagas_event (run_id, at, step, direction, old, new, attempt, epoch, worker, data)
SELECT %(id)s, now() - interval '1 day' + (n * 2 + e) * interval '1 second', 's' || n %% 200,
  'forward', CASE e WHEN 0 THEN 'ready' ELSE 'in_flight' END,
  CASE WHEN e = 0 THEN 'in_flight' WHEN n < 1800 THEN 'ready' ELSE 'succeeded' END,
  1 + n / 200, 1, 'w', '{}'
FROM generate_series(0, 1999) n, generate_series(0, 1) e ORDER BY n, e"""

_TABLES = "sagas_run, sagas_step, sagas_event"


def store(runs: int, first: int = 1, *, vacuum: bool = True) -> None:
    """Write the runs up to such a number, and let PostgreSQL learn what it has.

    Args:
        vacuum: which no transaction allows.
    """
    with connection.cursor() as cursor:
        for statement in (_RUNS, _STEPS, _EVENTS):
            cursor.execute(statement, {"runs": runs, "first": first})
        cursor.execute(f"{'VACUUM ' if vacuum else ''}ANALYZE {_TABLES}")


def store_large(run_id: UUID) -> None:
    """Write one run of 200 steps and 2,000 attempts."""
    with connection.cursor() as cursor:
        cursor.execute(_LARGE, {"id": run_id})
        cursor.execute(f"ANALYZE {_TABLES}")
