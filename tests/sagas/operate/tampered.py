"""Worlds as production makes them, drawn at random, and what somebody may do to one in SQL."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from psycopg import IntegrityError
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb

from integrations.webhooks import inbox
from integrations.webhooks.prune import LEAST, prune
from integrations.webhooks.received import Event
from sagas import db
from sagas.api import cancel, hold, lift, retry, send_signal, wait_for
from sagas.define.outcome import Refused, RetryLater
from sagas.define.saga import Definition, pivot
from sagas.models import Run
from sagas.operate import anchor, audit
from sagas.operate.anchor import Head
from sagas.operate.archive import archive
from sagas.operate.asker import Shell
from tests.sagas.flows import Payload, flow
from tests.sagas.stage import Actor, Known, at_once, begun, carried, elsewhere, lapse, status


@dataclass(frozen=True)
class Sagas:
    """What every world's runs are of, and who does their steps."""

    actor: Actor
    straight: Definition
    pivotal: Definition
    waiting: Definition

    @classmethod
    def made(cls, known: Known) -> Sagas:
        """Make them known."""
        actor = Actor()
        return cls(
            actor,
            known(flow(actor.steps("ab"), "straight")),
            known(flow([pivot(actor.step("p")), actor.step("q")], "pivotal")),
            known(flow([actor.step("w"), wait_for("paid", timeout=timedelta(hours=1))], "waiting")),
        )


@dataclass
class World:
    """An engine with runs, operators, archives and anchors.

    Attributes:
        settings: ``SAGAS`` as they are now; keys are rotated.
        done: what has happened, in words, for whoever reads of a failure.
    """

    random: Random
    place: Path
    sagas: Sagas
    settings: dict[str, Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.actor = self.sagas.actor
        self.settings = {
            **settings.SAGAS,
            "AUDIT_ANCHOR": str(self.place / "anchors.jsonl"),
            "AUDIT_KEY": uuid4().hex,
        }

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The engine has this world's settings within the block."""
        with override_settings(SAGAS=self.settings):
            yield

    def live(self, deeds: int) -> None:
        """Do things at random; each kind of run is there at least once."""
        every = [self.succeeds, self.turns_back, self.waits, self.is_changed, self.begins]
        others = [
            *(self.succeeds, self.retries, self.is_held, self.anchors, self.archives),
            *(self.is_given_a_new_key, self.prunes, self.anchors_among_writers, self.cancels),
        ]
        chosen = every + [self.random.choice(others) for _ in range(deeds)]
        self.random.shuffle(chosen)
        for deed in chosen:
            self.does(deed)
        # Something of each kind is there to be tampered with, whatever was archived.
        for deed in (self.succeeds, self.turns_back, self.waits, self.is_changed):
            self.does(deed)

    def does(self, deed: Callable[[], None]) -> None:
        self.done.append(deed.__name__)
        self.actor.answers = {}
        with self.entered():  # which may change them
            deed()

    def succeeds(self) -> None:
        drawn = {"text": "ä\u2028" * self.random.randint(0, 9), "number": self.random.random()}
        self.actor.answers["do a"] = {"of": "a", "list": [drawn, None, 1e20]}
        run_id = begun(self.sagas.straight, Payload(number=self.random.randint(0, 99)))
        carried(run_id, "a", "b", saga="straight/1")
        assert status(run_id) == "succeeded"

    def retries(self) -> None:
        run_id = begun(self.sagas.straight)
        for _ in range(self.random.randint(1, 3)):
            self.actor.answers["do a"] = RetryLater("busy")
            carried(run_id, "a", saga="straight/1")
            lapse(run_id)
        self.actor.answers = {}
        carried(run_id, "a", "b", saga="straight/1")
        assert status(run_id) == "succeeded"

    def turns_back(self) -> None:
        self.actor.answers["do b"] = Refused("sold out")
        run_id = begun(self.sagas.straight)
        carried(run_id, "a", "b", saga="straight/1")
        assert status(run_id) == "compensated"

    def waits(self) -> None:
        run_id = begun(self.sagas.waiting)
        carried(run_id, "w", saga="waiting/1")
        if self.random.random() < 0.5:
            send_signal("paid", str(Run.objects.get(pk=run_id).business_key), {"by": "Ada"})

    def is_changed(self) -> None:
        self.actor.answers["do q"] = Refused("no such number")
        run_id = begun(self.sagas.pivotal)
        carried(run_id, "p", "q", saga="pivotal/1")
        assert status(run_id) == "needs_attention"
        self.actor.answers = {"do q": {"of": "q"}}
        payload = {"number": self.random.randint(100, 999)}
        retry(run_id, "q", payload=payload, by=Shell(), reason="a typing error")
        carried(run_id, "q", saga="pivotal/1")

    def begins(self) -> None:
        begun(self.sagas.straight)

    def cancels(self) -> None:
        cancel(begun(self.sagas.straight), by=Shell(), reason="not wanted")

    def is_held(self) -> None:
        lift(hold("queue", "payments", reason="a", by=Shell()).pk, reason="b", by=Shell())

    def anchors(self) -> None:
        anchor.take()

    def anchors_among_writers(self) -> None:
        """Three write while anchors are taken."""
        saga, done = self.sagas.straight, threading.Barrier(4)
        over = threading.Event()

        def write() -> None:
            try:
                for _ in range(4):
                    carried(begun(saga), "a", "b", saga="straight/1")
                    audit.append(actor="ann", verb="retry", reason="ticket")
            finally:
                done.wait(60)
                over.set()

        def take() -> None:
            waiting = threading.Thread(target=done.wait)
            waiting.start()
            while not over.is_set():
                anchor.take()
            waiting.join()

        outcomes = at_once(*[lambda a=a: elsewhere(a) for a in (write, write, write, take)])
        assert outcomes == [None] * 4, outcomes

    def archives(self) -> None:
        for _ in archive(timedelta(seconds=-1), self.place / f"{uuid4()}.gz", 3, by=Shell()):
            pass

    def prunes(self) -> None:
        inbox.keep([Event("shipping", uuid4().hex, "parcel.delivered", "{}") for _ in range(2)])
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE integrations_webhookevent SET status = 'done', "
                "finished_at = now() - interval '1 year'"
            )
        assert prune(LEAST, by=Shell()) == 2

    def is_given_a_new_key(self) -> None:
        former = self.settings.get("AUDIT_KEY_FALLBACKS", ())
        fallbacks = (self.settings["AUDIT_KEY"], *former)
        self.settings = {
            **self.settings,
            "AUDIT_KEY": uuid4().hex,
            "AUDIT_KEY_FALLBACKS": fallbacks,
        }

    def alarms(self) -> list[str]:
        """What the two commands complain of."""
        found: list[str] = []
        with self.entered():
            for command in ("audit", "sagas"):
                out = StringIO()
                try:
                    call_command(command, "verify", stdout=out, stderr=out)
                except CommandError as error:
                    found += [*out.getvalue().splitlines(), str(error)]
        return found

    def last(self) -> Head:
        """What was anchored last."""
        with self.entered():
            anchor.take()
            newest = anchor._last()
        assert newest is not None
        return newest


def emptied() -> None:
    """Nothing is left of a world."""
    engine = [m._meta.db_table for m in apps.get_app_config("sagas").get_models()]
    db.execute(f"TRUNCATE {', '.join(engine)}, integrations_webhookevent CASCADE")


# --- tampering -----------------------------------------------------------------------------


class Hand:
    """Somebody with a database user of the application's, who knows what the engine does.

    Args:
        owns: whether the user owns the tables, and so may remove what protects them.
    """

    def __init__(self, user: str, password: str, random: Random, last: Head, *, owns: bool) -> None:
        named = connection.settings_dict
        self._random, self._last, self._owns = random, last, owns
        self._connection = psycopg.connect(
            host=named["HOST"] or None,
            port=named["PORT"] or None,
            dbname=named["NAME"],
            user=user,
            password=password,
        )

    def tampers(self, kind: str) -> bool:
        """Tamper in that way. False: the database refused it, and nothing was changed.

        It has no right to, or a trigger or a constraint keeps what no engine would write.
        """
        try:
            with self._connection, self._connection.cursor() as self._cursor:
                KINDS[kind](self)
        except (InsufficientPrivilege, IntegrityError) as error:
            self.refusal = str(error).splitlines()[0]
            return False
        return True

    def one(self, sql: str, *params: Any) -> Any:
        """A value of a row that is drawn."""
        rows = self._cursor.execute(sql, params).fetchall()
        assert rows, f"there is nothing to tamper with: {sql}"
        return self._random.choice(rows)[0]

    def changes(self, sql: str, *params: Any) -> None:
        self._cursor.execute(sql, params)
        assert self._cursor.rowcount, f"nothing was tampered with: {sql}"

    def unguards(self, table: str) -> None:
        """Remove the triggers: only the owner can, so others try without."""
        if self._owns:
            self._cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")

    def guards(self, table: str) -> None:
        """Leave no trace of it."""
        if self._owns:
            self._cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    # What is drawn was recorded before the last anchor.

    def entry(self) -> int:
        return int(
            self.one("SELECT number FROM sagas_auditentry WHERE number <= %s", self._last.entry)
        )

    def event(self, condition: str = "true") -> int:
        sql = f"SELECT id FROM sagas_event e WHERE id <= %s AND {condition}"
        return int(self.one(sql, self._last.up_to))

    def run(self, condition: str = "true") -> UUID:
        found = self.one(
            f"SELECT r.id FROM sagas_run r WHERE {condition} AND EXISTS (SELECT 1 FROM sagas_event "
            "e WHERE e.run_id = r.id AND e.old = '' AND e.step = '' AND e.id <= %s)",
            self._last.up_to,
        )
        assert isinstance(found, UUID)
        return found

    def step(self, condition: str) -> int:
        """A step that has done what the condition says."""
        return int(self.one(f"SELECT s.id FROM sagas_step s WHERE {condition}"))

    # --- the audit

    def changes_an_entry(self) -> None:
        column, value = self._random.choice(
            [
                ("actor", "actor || '2'"),
                ("reason", "reason || ' of the boss'"),
                ("at", "at - interval '1 day'"),
                ("verb", "verb || '2'"),
                ("approver", "approver || 'bob'"),
                ("details", "details || '{\"a\": 1}'"),
                ("run", "gen_random_uuid()"),
            ]
        )
        number = self.entry()
        self.unguards("sagas_auditentry")
        self.changes(f"UPDATE sagas_auditentry SET {column} = {value} WHERE number = %s", number)
        self.guards("sagas_auditentry")

    def changes_an_entry_and_chains_anew(self) -> None:
        number = self.entry()
        self.unguards("sagas_auditentry")
        self.changes("UPDATE sagas_auditentry SET actor = actor || '2' WHERE number = %s", number)
        self._chains_from(number)
        self.guards("sagas_auditentry")

    def removes_an_entry(self) -> None:
        number = self.entry()
        self.unguards("sagas_auditentry")
        self.changes("DELETE FROM sagas_auditentry WHERE number = %s", number)
        self.guards("sagas_auditentry")

    def removes_an_entry_and_chains_anew(self) -> None:
        number = self.entry()
        self.unguards("sagas_auditentry")
        self.changes("DELETE FROM sagas_auditentry WHERE number = %s", number)
        self._cursor.execute(
            "UPDATE sagas_auditentry SET number = -number WHERE number > %s", [number]
        )
        self._cursor.execute("UPDATE sagas_auditentry SET number = -number - 1 WHERE number < 0")
        self._chains_from(number)
        self.guards("sagas_auditentry")

    def cuts_the_tail(self) -> None:
        number = self.entry()
        self.unguards("sagas_auditentry")
        self.changes("DELETE FROM sagas_auditentry WHERE number >= %s", number)
        self.guards("sagas_auditentry")

    def cuts_the_tail_and_grows_another(self) -> None:
        number = self.entry()
        count = int(self.one("SELECT max(number) FROM sagas_auditentry")) - number + 1
        self.cuts_the_tail()
        self._appends(count + self._random.randint(0, 2))

    def truncates_the_audit_and_refills_it(self) -> None:
        count = int(self.one("SELECT max(number) FROM sagas_auditentry"))
        self._cursor.execute("SELECT set_config('sagas.emptying', 'on', true)")
        self._cursor.execute("TRUNCATE sagas_auditentry")
        self._appends(count)

    def _appends(self, count: int) -> None:
        for _ in range(count):
            self._cursor.execute(
                "INSERT INTO sagas_auditentry (number, at, actor, approver, verb, run, saga, step, "
                "subject, reason, batch, before, after, details, previous, hash) VALUES "
                "(0, now(), 'ann', '', 'retry', NULL, '', '', '', 'x', NULL, '{}', '{}', '{}', '', "
                "'')"
            )

    def _chains_from(self, number: int) -> None:
        """Hash each entry anew, as the trigger does: it needs no secret."""
        rows = self._cursor.execute(
            "SELECT number FROM sagas_auditentry WHERE number >= %s ORDER BY number", [number]
        ).fetchall()
        for (one,) in rows:
            self._cursor.execute(
                "UPDATE sagas_auditentry SET previous = coalesce((SELECT hash FROM "
                "sagas_auditentry WHERE number = %s - 1), repeat('0', 64)) WHERE number = %s",
                [one, one],
            )
            self._cursor.execute(
                f"UPDATE sagas_auditentry SET hash = encode(sha256(convert_to({audit._TEXT}, "
                "'UTF8')), 'hex') WHERE number = %s",
                [one],
            )

    # --- what protects it

    def removes_the_triggers(self) -> None:
        self._cursor.execute("DROP TRIGGER sagas_audit_append_only ON sagas_auditentry")
        self.changes("UPDATE sagas_auditentry SET actor = 'bob' WHERE number = %s", self.entry())
        self._cursor.execute(  # so that nobody sees it, and the next world has it
            "CREATE TRIGGER sagas_audit_append_only BEFORE UPDATE OR DELETE ON sagas_auditentry "
            "FOR EACH ROW EXECUTE FUNCTION sagas_audit_is_history()"
        )

    def goes_past_the_triggers(self) -> None:
        self._cursor.execute("SET LOCAL session_replication_role = replica")
        self.changes("UPDATE sagas_auditentry SET actor = 'bob' WHERE number = %s", self.entry())

    def puts_anchors_back(self) -> None:
        """So that the next one begins before what is removed from events."""
        self.unguards("sagas_anchor")
        self.changes("DELETE FROM sagas_anchor")
        self.guards("sagas_anchor")
        self.removes_events()

    def adds_an_old_anchor(self) -> None:
        self.changes(
            "INSERT INTO sagas_anchor SELECT number + 100, at, line FROM sagas_anchor "
            "ORDER BY number LIMIT 1"
        )
        self.removes_events()

    # --- events

    def _archiving(self) -> None:
        self._cursor.execute("SELECT set_config('sagas.archiving', 'on', true)")

    def removes_events(self) -> None:
        self._archiving()
        self.changes("DELETE FROM sagas_event WHERE id = %s", self.event())

    def removes_all_events(self) -> None:
        self._archiving()
        self.changes("DELETE FROM sagas_event")

    def truncates_events(self) -> None:
        self._cursor.execute("SELECT set_config('sagas.emptying', 'on', true)")
        self._cursor.execute("TRUNCATE sagas_event")

    def changes_an_event(self) -> None:
        column, value = self._random.choice(
            [
                ("at", "at - interval '1 hour'"),
                ("worker", "worker || '2'"),
                ("data", 'data || \'{"by": "bob"}\''),
                ("attempt", "attempt + 1"),
            ]
        )
        event = self.event()
        self.unguards("sagas_event")
        self.changes(f"UPDATE sagas_event SET {column} = {value} WHERE id = %s", event)
        self.guards("sagas_event")

    def replaces_an_event(self) -> None:
        """Remove it as an archive does, and put another in its place."""
        event = self.event()
        self._replaces(event, self._random.choice(["worker = 'w'", "at = now()", "attempt = 77"]))

    def _replaces(self, event: int, change: str) -> None:
        self._archiving()
        self._cursor.execute(
            "CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM sagas_event WHERE id = %s",
            [event],
        )
        self._cursor.execute(f"UPDATE kept SET {change}")
        self.changes("DELETE FROM sagas_event WHERE id = %s", event)
        self.changes("INSERT INTO sagas_event SELECT * FROM kept")
        self._cursor.execute("DROP TABLE kept")

    def adds_an_event(self) -> None:
        self.changes(
            "INSERT INTO sagas_event (id, run_id, at, step, direction, old, new, attempt, epoch, "
            "worker, data) SELECT %s, run_id, at, step, direction, '', '', attempt, epoch, worker, "
            "'{}' FROM sagas_event WHERE id = %s",
            -self._random.randint(0, 99),
            self.event(),
        )

    # --- runs and steps

    def changes_a_payload(self) -> None:
        self.changes(
            "UPDATE sagas_run SET payload = payload || %s WHERE id = %s",
            Jsonb({"number": self._random.randint(1000, 9999)}),
            self.run(),
        )

    def changes_a_payload_and_its_digest(self) -> None:
        """By what the events of another run have, or by one of its own making."""
        run_id = self.run()
        self.changes(
            "UPDATE sagas_run SET payload = payload || '{\"number\": 4711}' WHERE id = %s", run_id
        )
        own = self.one(
            "SELECT id FROM sagas_event WHERE run_id = %s AND old = '' AND step = '' "
            "AND new = 'pending'",
            run_id,
        )
        digest = self._random.choice(["", ' || \'{"digest": "x:y"}\''])
        self._replaces(int(own), f"data = data - 'digest'{digest}")

    def changes_what_an_operator_gave(self) -> None:
        self.changes(
            "UPDATE sagas_run SET amended = '{\"number\": 1}' WHERE id = %s",
            self.run(self._random.choice(["amended IS NULL", "amended IS NOT NULL"])),
        )

    def changes_a_key(self) -> None:
        self.changes(
            "UPDATE sagas_run SET business_key = business_key || 'x' WHERE id = %s", self.run()
        )

    def changes_a_saga(self) -> None:
        self.changes("UPDATE sagas_run SET saga = 'pivotal2' WHERE id = %s", self.run())

    def changes_a_result(self) -> None:
        value = self._random.choice([None, Jsonb({"of": "bob"}), Jsonb([])])
        self.changes(
            "UPDATE sagas_step SET result = %s WHERE id = %s",
            value,
            self.step("s.status = 'succeeded' AND s.direction = 'forward' AND s.result ? 'of'"),
        )

    def gives_a_result_to_what_had_none(self) -> None:
        self.changes(
            "UPDATE sagas_step SET result = '{\"of\": 1}' WHERE id = %s",
            self.step("s.status = 'succeeded' AND s.result IS NULL"),
        )

    def changes_a_result_and_its_digest(self) -> None:
        step = self.step("s.status = 'succeeded' AND s.direction = 'forward' AND s.result ? 'of'")
        self.changes("UPDATE sagas_step SET result = '{\"of\": 2}' WHERE id = %s", step)
        event = self.event(
            "new = 'succeeded' AND (run_id, step, direction) = "
            f"(SELECT run_id, name, direction FROM sagas_step WHERE id = {step})"
        )
        self._replaces(event, "data = data - 'digest'")

    def exchanges_results(self) -> None:
        """Two digests of the same key, each in the other's place."""
        rows = self._cursor.execute(
            "SELECT s.id FROM sagas_step s JOIN sagas_run r ON r.id = s.run_id "
            "WHERE s.name IN ('a', 'q') AND s.direction = 'forward' AND s.result ? 'of' "
            "AND s.status = 'succeeded'"
        ).fetchall()
        one, two = self._random.sample([row[0] for row in rows], 2)
        self.changes(
            "UPDATE sagas_step s SET result = CASE WHEN s.result = o.result THEN '1' "
            "ELSE o.result END FROM sagas_step o WHERE (s.id, o.id) IN ((%s, %s), (%s, %s))",
            *(one, two, two, one),
        )

    def changes_a_status(self) -> None:
        """A run that was undone says that it succeeded."""
        run_id = self.run("r.status IN ('compensated', 'running')")
        self.unguards("sagas_run")
        self.changes(
            "UPDATE sagas_run SET status = 'succeeded', wake_at = NULL, "
            "finished_at = coalesce(finished_at, now()) WHERE id = %s",
            run_id,
        )
        self.guards("sagas_run")

    def changes_a_step(self) -> None:
        change = self._random.choice(["status = 'skipped'", "attempt = attempt + 1"])
        self.changes(
            f"UPDATE sagas_step SET {change} WHERE id = %s", self.step("s.status = 'succeeded'")
        )

    def removes_a_step(self) -> None:
        step = self.step("s.status = 'succeeded' AND s.name IN ('a', 'b', 'p')")
        self.changes("DELETE FROM sagas_step WHERE id = %s", step)

    def removes_a_run(self) -> None:
        """As an archive does; and it may say so in the audit."""
        run_id = self.run()
        events = self._removes_run(run_id)
        if self._random.random() < 0.7:
            self._says_it_was_archived(run_id, events)

    def repeats_what_an_archive_said(self) -> None:
        """Remove a run and add an archive's own words, which are signed."""
        rows = self._cursor.execute(
            "SELECT details FROM sagas_auditentry WHERE verb = 'archive' AND details ? 'events'"
        ).fetchall()
        run_id = self.run()
        events = self._removes_run(run_id)
        if rows:
            self._says_it_was_archived(run_id, events, self._random.choice(rows)[0])
        else:
            self._says_it_was_archived(run_id, events)

    def _removes_run(self, run_id: UUID) -> list[int]:
        self._archiving()
        self._cursor.execute(
            "UPDATE sagas_signal SET taken_by_id = NULL WHERE taken_by_id IN "
            "(SELECT id FROM sagas_step WHERE run_id = %s)",
            [run_id],
        )
        rows = self._cursor.execute(
            "DELETE FROM sagas_event WHERE run_id = %s RETURNING id", [run_id]
        ).fetchall()
        self._cursor.execute("DELETE FROM sagas_step WHERE run_id = %s", [run_id])
        self.changes("DELETE FROM sagas_run WHERE id = %s", run_id)
        return [row[0] for row in rows]

    def _says_it_was_archived(
        self, run_id: UUID, events: list[int], details: dict[str, Any] | None = None
    ) -> None:
        said = {
            "count": len(events),
            "first": min(events),
            "last": max(events),
            "sum": "0" * 512,
            "signature": self._random.choice(["x:y", "", "abcd:" + "0" * 64]),
        }
        own = {"runs": 1, "first": str(run_id), "last": str(run_id), "events": said}
        self._cursor.execute(
            "INSERT INTO sagas_auditentry (number, at, actor, approver, verb, run, saga, step, "
            "subject, reason, batch, before, after, details, previous, hash) VALUES "
            "(0, now(), 'ann', '', 'archive', NULL, '', '', 'archived', '', NULL, '{}', '{}', %s, "
            "'', '')",
            [json.dumps(details or own)],
        )

    def closes(self) -> None:
        self._connection.close()


#: Every way to tamper, by its name.
KINDS: dict[str, Callable[[Hand], None]] = {
    name: getattr(Hand, name)
    for name in (
        *("changes_an_entry", "changes_an_entry_and_chains_anew", "removes_an_entry"),
        *("removes_an_entry_and_chains_anew", "cuts_the_tail", "cuts_the_tail_and_grows_another"),
        *("truncates_the_audit_and_refills_it", "removes_the_triggers", "goes_past_the_triggers"),
        *("puts_anchors_back", "adds_an_old_anchor", "removes_events", "removes_all_events"),
        *("truncates_events", "changes_an_event", "replaces_an_event", "adds_an_event"),
        *("changes_a_payload", "changes_a_payload_and_its_digest", "changes_a_key"),
        *("changes_what_an_operator_gave", "changes_a_saga", "changes_a_result"),
        *("gives_a_result_to_what_had_none", "changes_a_result_and_its_digest"),
        *("exchanges_results", "changes_a_status", "changes_a_step", "removes_a_step"),
        *("removes_a_run", "repeats_what_an_archive_said"),
    )
}
