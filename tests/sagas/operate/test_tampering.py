"""Random tamperings of what was recorded before the last anchor are found; nothing else alarms.

``TAMPERINGS`` and ``CLEAN_WORLDS`` say how many; ``make proof NAMES=tampering`` draws 100 of each.
One who tampers has the application's user, which has rows alone (``sagas roles``) and is refused
much; the other one has a user that owns the tables, as where nobody has separated the two.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from django.db import connection

from sagas import db
from sagas.operate import audit
from sagas.operate.roles import Roles
from sagas.testing.post import Post
from tests.sagas.operate.application import connected_as, two_users
from tests.sagas.operate.tampered import KINDS, Hand, Sagas, World, emptied
from tests.sagas.stage import Known, begun

pytestmark = pytest.mark.django_db(transaction=True)
TAMPERINGS = int(os.environ.get("TAMPERINGS", "12"))
CLEAN_WORLDS = int(os.environ.get("CLEAN_WORLDS", "4"))


@pytest.fixture
def roles() -> Iterator[Roles]:
    with two_users() as made:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER ROLE \"{made.owner}\" PASSWORD '{made.password}'")
        yield made


@pytest.fixture
def sagas(known: Known, post: Post) -> Sagas:
    return Sagas.made(known)


def settled(place: Path, random: Random, sagas: Sagas, name: object) -> World:
    """A new world in which something has happened."""
    emptied()
    (place / str(name)).mkdir()
    world = World(random, place / str(name), sagas)
    world.live(random.randint(2, 8))
    return world


def test_no_world_in_which_nobody_tampered_alarms(
    roles: Roles, sagas: Sagas, tmp_path: Path, drawn_seed: int
) -> None:
    random, happened = Random(drawn_seed), Counter[str]()
    for number in range(CLEAN_WORLDS):
        world = settled(tmp_path, random, sagas, number)
        with connected_as(roles.application, roles.password or ""):
            world.live(random.randint(2, 8))
            world.does(world.anchors)
            assert world.alarms() == [], (world.done, drawn_seed)
        happened += Counter(world.done)
    print(f"\n{CLEAN_WORLDS} clean worlds, {dict(happened)}: 0 alarms", end=" ")


@pytest.mark.parametrize("owns", [False, True], ids=["with rows alone", "owning the tables"])
def test_whatever_is_tampered_with_before_the_last_anchor_is_refused_or_found(
    roles: Roles, sagas: Sagas, tmp_path: Path, drawn_seed: int, *, owns: bool
) -> None:
    random = Random(drawn_seed)
    kinds = list(KINDS)
    random.shuffle(kinds)
    outcomes: dict[str, Counter[str]] = {
        "found": Counter(),
        "refused": Counter(),
        "missed": Counter(),
    }
    for number in range(TAMPERINGS):
        kind = kinds[number % len(kinds)]
        world = settled(tmp_path, random, sagas, number)
        outcomes[tampered(kind, roles, world, owns=owns)][kind] += 1
    found, refused, missed = (outcome.total() for outcome in outcomes.values())
    whose = "a user that owns the tables" if owns else "the application's user"
    print(
        f"\n{TAMPERINGS} tamperings by {whose}: {found} found, {refused} refused by the database, "
        f"{missed} missed. Refused: {dict(outcomes['refused'])}",
        end=" ",
    )
    assert not outcomes["missed"], f"seed {drawn_seed}"
    assert found > 0


def tampered(kind: str, roles: Roles, world: World, *, owns: bool) -> str:
    """What became of one tampering: refused, found or missed."""
    user = roles.owner if owns else roles.application
    last = world.last()
    assert world.alarms() == [], world.done
    hand = Hand(user, roles.password or "", world.random, last, owns=owns)
    try:
        done = hand.tampers(kind)
    finally:
        hand.closes()
    if not done:
        assert world.alarms() == [], f"{kind} was refused, and yet something is changed"
        return "refused"
    if world.random.random() < 0.5:  # later anchors must not make it right
        with world.entered():
            audit.append(actor="ann", verb="retry", reason="after it")
            begun(world.sagas.straight)
        world.last()
    return "found" if world.alarms() else "missed"


@pytest.mark.parametrize("protection", ["anchors", "digests"])
def test_what_protects_is_what_finds(
    protection: str, roles: Roles, sagas: Sagas, tmp_path: Path, drawn_seed: int
) -> None:
    """Without anchors or digests a forger of chain or payload is missed: the proof can fail."""
    world = settled(tmp_path, Random(drawn_seed), sagas, protection)
    last = world.last()
    if protection == "anchors":
        (world.place / "anchors.jsonl").unlink()
    else:
        db.execute("SET session_replication_role = replica")
        db.execute("UPDATE sagas_event SET data = data - 'digest' - 'input'")
        db.execute("SET session_replication_role = origin")
        (world.place / "anchors.jsonl").unlink()
    kind = "cuts_the_tail" if protection == "anchors" else "changes_a_payload"
    hand = Hand(roles.owner, roles.password or "", world.random, last, owns=True)
    assert hand.tampers(kind)
    hand.closes()
    assert world.alarms() == []
