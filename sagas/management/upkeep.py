"""The words that keep the record: verify it, archive it, and check a deployment against it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from sagas.define import registry
from sagas.errors import SagaError, UnknownRun
from sagas.management.console import Console
from sagas.management.finding import find
from sagas.management.text import WIDTH, duration, printable, wrapped
from sagas.operate.archive import Tally, archive, eligible
from sagas.operate.asker import Shell
from sagas.operate.deploy import Group, check_deploy
from sagas.operate.roles import Roles, separate
from sagas.operate.verify import verify
from sagas.wording import clock

Options = Mapping[str, Any]
_EVERY = 200  # runs between two signs of progress


def verify_runs(options: Options) -> str:
    """Compare runs with their history, and print each difference as it is found.

    Raises:
        SagaError: a run differs; so the command fails.
    """
    console: Console = options["console"]
    ids = sorted({find(fragment) for fragment in options["id"]})
    checked = differing = unchecked = 0
    for verdict in verify(saga=options["saga"], since=options["since"], ids=ids or None):
        checked += 1
        differing += bool(verdict.differences)
        unchecked += verdict.unchecked
        for difference in verdict.differences:
            console.say(printable(f"{verdict.run_id} {difference}"))
        if checked % _EVERY == 0:
            console.progress(f"{_counted(checked)} checked, {differing} differ")
    _complain_of_nothing(options["saga"], ids, checked)
    if differing:
        raise SagaError(
            f"Checked {_counted(checked)}: the events and the rows of {differing} differ."
        )
    return f"Checked {_counted(checked)}: events and rows agree.{_not_hashed(unchecked)}"


def archive_runs(options: Options) -> str:
    """Move runs that are long over into a file and say how many."""
    older = options["older_than"]
    length = duration(older.total_seconds())
    if options["dry_run"]:
        found = f"{eligible(older):,}"
        return f"Runs that have been over for {length}: {found}. Nothing was written or removed."
    if options["to"] is None:
        raise SagaError("Say where to: --to FILE.jsonl.gz, or only count with --dry-run.")
    tally = Tally()
    for tally in archive(older, options["to"], options["batch"], by=Shell()):
        options["console"].progress(f"{_counted(tally.removed)} archived")
    if not tally.exported:
        return f"No run has been over for {length}; no file was made."
    return (
        f"Archived {_counted(tally.exported)} into {options['to']} ({tally.size:,} bytes)."
        f"{_left_over(tally)}"
    )


def separate_roles(options: Options) -> str:
    """Give owner and application their rights, and say with which statements.

    Raises:
        SagaError: they cannot be two, or the variable with the password is not set.
    """
    variable = options["password_from"]
    if variable and not os.environ.get(variable):
        raise SagaError(f"The variable {variable} is not set, so there is no password.")
    password = os.environ[variable] if variable else None
    roles = Roles(options["owner"], options["application"], password)
    if options["dry_run"]:
        told = [words for _, words in roles.statements()]
    else:
        told = separate(roles, by=Shell())
    if options["json"]:
        data = {"owner": roles.owner, "application": roles.application}
        return json.dumps({**data, "done": not options["dry_run"], "statements": told}, indent=2)
    if options["dry_run"]:
        return "\n".join(f"{words};" for words in told)
    return (
        f"{roles.owner} owns the tables and {roles.application} may use them. Run this again after "
        "each migration that makes a table."
    )


def check_code(options: Options) -> str:
    """Say which unfinished runs this code cannot continue, and why.

    Raises:
        SagaError: there are such runs; so the command fails.
    """
    groups = list(check_deploy(options["documents"]))
    broken = [group for group in groups if not group.continues]
    checked = sum(group.runs for group in groups)
    if options["json"]:
        options["console"].say(_as_json(groups, checked))
    else:
        for line in (line for group in broken for line in _told(group)):
            options["console"].say(line)
    if broken:
        raise SagaError(
            f"Checked {_counted(checked, 'unfinished run')}: this code cannot continue "
            f"{sum(_stopped(group) for group in broken):,}. {_cure(broken)}"
        )
    if options["json"]:
        return ""
    return f"Checked {_counted(checked, 'unfinished run')}: this code can continue each of them."


# --- helpers -------------------------------------------------------------------------------


def _counted(number: int, what: str = "run") -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _complain_of_nothing(saga: str | None, ids: Sequence[object], checked: int) -> None:
    """A slip of the pen must not pass for: all is well."""
    if ids and checked < len(ids):
        raise UnknownRun(
            f"Checked {_counted(checked)} of {len(ids)}: the others do not exist, or --saga or "
            "--since leaves them out."
        )
    if saga is not None and not checked:
        registry.get(saga)


def _not_hashed(documents: int) -> str:
    if not documents:
        return ""
    return (
        f" {_counted(documents, 'document')} could not be compared: recorded before digests were, "
        "or under a key that is in SAGAS['AUDIT_KEY_FALLBACKS'] no more."
    )


def _left_over(tally: Tally) -> str:
    left = tally.exported - tally.removed
    if not left:
        return ""
    return (
        f" Still in the database, because somebody held or wrote to them meanwhile: {left:,}. "
        "The next archive takes them."
    )


def _stopped(group: Group) -> int:
    """How many runs cannot go on, as far as they were looked at."""
    return group.runs if group.mismatch else max(one.runs for one in group.unfit)


def _cure(broken: Sequence[Group]) -> str:
    cures = []
    if any(group.mismatch for group in broken):
        cures.append(
            "Keep the old definition, and give the new one a version of its own; or move them: "
            "manage.py sagas migrate."
        )
    if any(group.unfit for group in broken):
        cures.append(
            "Let the models read what is stored: give new fields a default, and let fields keep "
            "the types that they had."
        )
    return " ".join(cures)


def _told(group: Group) -> Iterator[str]:
    which = f"{group.saga} version {group.version}, fingerprint {group.fingerprint}: "
    if group.mismatch:
        yield f"{which}{_counted(group.runs)} cannot go on"
    else:
        yield f"{which}what is stored does not fit, of {_counted(group.read)} that were read"
    for one in group.unfit:
        at = f", field {one.field}" if one.field else ""
        line = f"{one.place}{at}: {one.message} ({_counted(one.runs)}, such as {one.example})"
        yield from (f"  {part}" for part in wrapped(printable(line), WIDTH - 2))
    if not group.mismatch:
        return
    since = clock(group.since)
    yield f"  the oldest is {group.oldest}, created {since}"
    yield from (f"  {line}" for line in wrapped(printable(group.mismatch), WIDTH - 2))


def _as_json(groups: Sequence[Group], checked: int) -> str:
    listed = [{**asdict(group), "continues": group.continues} for group in groups]
    data = {"checked": checked, "groups": listed}
    return json.dumps(data, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
