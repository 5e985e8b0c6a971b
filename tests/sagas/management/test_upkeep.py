"""``manage.py sagas verify``, ``archive`` and ``check-deploy``, as an operator meets them."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sagas import retire
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import Run, Step
from tests.sagas.driven import driven
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.management.test_console import Terminal
from tests.sagas.stage import begun, status

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def saga(db: None) -> Iterator[Definition]:
    with registry.isolated():
        known = flow(["a", "b"])
        registry.register(known)
        yield known


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl.gz"


def ran(*words: str) -> tuple[int, str, str]:
    """The exit code, what went to standard output, and the error's one line."""
    out, err = io.StringIO(), io.StringIO()
    code, told = 0, ""
    try:
        call_command("sagas", *words, stdout=out, stderr=err)
    except CommandError as error:
        code, told = error.returncode, str(error)
    assert "\n" not in told
    return code, out.getvalue(), told


def said(*words: str) -> str:
    """What was printed by words that succeeded."""
    code, out, error = ran(*words)
    assert (code, error) == (0, "")
    return out.removesuffix("\n")


def refused(*words: str) -> str:
    """The one line of an error, from words that printed nothing else."""
    code, out, error = ran(*words)
    assert (code, out) == (1, "")
    return error


def finished(saga: Definition, key: str, days: int = 100) -> UUID:
    run_id = driven(saga, Payload(), key=key)
    Run.objects.filter(pk=run_id).update(finished_at=timezone.now() - timedelta(days=days))
    return run_id


# --- verify --------------------------------------------------------------------------------


def test_verify_says_how_many_runs_agree(saga: Definition) -> None:
    assert said("verify") == "Checked 0 runs: events and rows agree."
    driven(saga, Payload())
    assert said("verify") == "Checked 1 run: events and rows agree."
    driven(saga, Payload(refuse="b"), key="2")
    begun(saga)
    assert said("verify") == "Checked 3 runs: events and rows agree."


def test_verify_finds_a_row_that_somebody_changed_and_fails(saga: Definition) -> None:
    good, bad = driven(saga, Payload()), driven(saga, Payload(), key="2")
    Step.objects.filter(run=bad, name="b").update(status="skipped", attempt=4)
    code, out, error = ran("verify")
    assert code == 1
    assert out.splitlines() == [
        f"{bad} status of step b (forward): the events say succeeded, its row says skipped",
        f"{bad} attempts of step b (forward): the events say 1, its row says 4",
    ]
    assert error == "Checked 2 runs: the events and the rows of 1 differ."
    assert said("verify", str(good)) == "Checked 1 run: events and rows agree."


def test_verify_looks_only_at_what_is_asked_for(saga: Definition) -> None:
    registry.register(other := flow(["a"], name="other"))
    first, second = driven(saga, Payload()), driven(other, Payload(), key="2")
    Run.objects.filter(pk=first).update(created_at=timezone.now() - timedelta(days=9))
    yesterday = f"{timezone.now() - timedelta(days=1):%Y-%m-%d}"
    assert said("verify", "--saga", "flow").startswith("Checked 1 run:")
    assert said("verify", "--since", yesterday).startswith("Checked 1 run:")
    assert said("verify", str(first)[-12:], str(second), str(first)).startswith("Checked 2 runs:")


def test_verify_refuses_what_it_would_look_at_in_vain(saga: Definition) -> None:
    run_id = driven(saga, Payload())
    assert "Did you mean 'flow'?" in refused("verify", "--saga", "flaw")
    assert "Checked 0 runs of 1: the others do not exist" in refused("verify", str(uuid4()))
    assert "leaves them out" in refused("verify", str(run_id), "--since", "2999-01-01")
    assert "nor an id that begins or ends so" in refused("verify", "00000000")
    assert "is no date; write it as in 2026-11-01" in refused("verify", "--since", "yesterday")
    assert said("verify", "--saga", "flow", "--since", "2999-01-01").startswith("Checked 0 runs")


def test_verify_shows_a_person_how_far_it_has_come(saga: Definition) -> None:
    for number in range(3):
        begun(saga, key=str(number))
    err = Terminal()
    with patch("sagas.management.upkeep._EVERY", 2):
        call_command("sagas", "verify", stdout=io.StringIO(), stderr=err)
    assert err.getvalue() == "\r\x1b[K2 runs checked, 0 differ\r\x1b[K"


# --- archive -------------------------------------------------------------------------------


def test_archive_moves_runs_into_the_file_and_counts_them(saga: Definition, path: Path) -> None:
    old = [finished(saga, str(number)) for number in range(3)]
    young = finished(saga, "young", days=80)
    words = ("archive", "--older-than", "90d", "--to", str(path), "--batch", "2")
    text = said(*words)
    assert text == f"Archived 3 runs into {path} ({path.stat().st_size:,} bytes)."
    with gzip.open(path, "rt") as file:
        assert [UUID(json.loads(line)["run"]["id"]) for line in file] == old
    assert [run.id for run in Run.objects.all()] == [young]
    assert "exists. Give the archive a new name." in refused(*words)


def test_archive_only_counts_when_it_is_a_dry_run(saga: Definition, path: Path) -> None:
    run_id = finished(saga, "1")
    text = said("archive", "--older-than", "90d", "--dry-run", "--to", str(path))
    assert text == "Runs that have been over for 90 d: 1. Nothing was written or removed."
    assert not path.exists()
    assert status(run_id) == "succeeded"
    assert ": 0. Nothing" in said("archive", "--older-than", "15w", "--dry-run")


def test_archive_without_old_runs_makes_no_file(saga: Definition, path: Path) -> None:
    text = said("archive", "--older-than", "12h", "--to", str(path))
    assert text == "No run has been over for 12 h; no file was made."
    assert not path.exists()


def test_archive_says_what_stays_in_the_database_too(saga: Definition, path: Path) -> None:
    finished(saga, "1")
    with patch.object(retire, "remove", return_value=retire.Removed(frozenset(), [], 0, 0)):
        text = said("archive", "--older-than", "90d", "--to", str(path))
    assert text.endswith("meanwhile: 1. The next archive takes them.")
    assert Run.objects.exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--older-than", "90d"], "Say where to: --to FILE.jsonl.gz"),
        (["--older-than", "90"], "'90' is no length of time"),
        (["--older-than", "0d"], "'0d' is no length of time"),
        (["--to", "x"], "--older-than"),
        (["--older-than", "1d", "--to", "x", "--batch", "0"], "must be at least 1"),
        (["--older-than", "1d", "--to", "/nowhere/at/all"], "no directory '/nowhere/at'"),
        (["--older-than", "1d", "--to", "/"], "The file '/' exists"),
    ],
)
def test_archive_refuses_bad_words_in_one_line(
    saga: Definition, words: list[str], why: str
) -> None:
    finished(saga, "1")
    assert why in refused("archive", *words)
    assert Run.objects.count() == 1


def test_archive_refuses_a_file_that_it_may_not_write(saga: Definition) -> None:
    finished(saga, "1")
    error = refused("archive", "--older-than", "1d", "--to", "/proc/runs.jsonl.gz")
    assert "'/proc/runs.jsonl.gz' cannot be written" in error
    assert Run.objects.count() == 1


def test_an_archive_that_is_interrupted_says_so_in_one_line(saga: Definition, path: Path) -> None:
    finished(saga, "1")
    words = ("archive", "--older-than", "1d", "--to", str(path))
    with patch.object(retire, "remove", side_effect=KeyboardInterrupt):
        assert ran(*words) == (130, "", "Interrupted.")


# --- check-deploy --------------------------------------------------------------------------


def test_check_deploy_passes_when_this_code_can_go_on(saga: Definition) -> None:
    text = "this code can continue each of them."
    assert said("check-deploy") == f"Checked 0 unfinished runs: {text}"
    begun(saga)
    driven(saga, Payload())
    assert said("check-deploy") == f"Checked 1 unfinished run: {text}"


def test_check_deploy_names_what_would_break_and_fails(saga: Definition) -> None:
    oldest = begun(saga)
    begun(saga)
    registry._sagas["flow"] = {1: flow(["b", "x"])}
    registry.register(flow(["z"], name="other"))
    begun(registry.get("other"))
    code, out, error = ran("check-deploy")
    assert code == 1
    created = Run.objects.get(pk=oldest).created_at
    assert out.splitlines() == [
        f"flow version 1, fingerprint {saga.fingerprint}: 2 runs cannot go on",
        f"  the oldest is {oldest}, created {created:%Y-%m-%d %H:%M:%S} UTC",
        "  <Saga flow v1> has other steps than when this run started: step 'a' is gone; "
        "step 'x' is new after",
        "  'b'.",
    ]
    assert error == (
        "Checked 3 unfinished runs: this code cannot continue 2. Keep the old definition, and "
        "give the new one a version of its own; or move them: manage.py sagas migrate."
    )


def test_check_deploy_names_what_the_models_cannot_read(saga: Definition) -> None:
    oldest = begun(saga)

    class Needs(Payload):
        street: str

    registry._sagas["flow"] = {1: Definition("flow", payload=Needs, steps=saga.tree)}
    code, out, error = ran("check-deploy")
    assert code == 1
    told = " ".join(out.split())
    assert f"the payload, field street: Field required (1 run, such as {oldest})" in told
    assert error == (
        "Checked 1 unfinished run: this code cannot continue 1. Let the models read what is "
        "stored: give new fields a default, and let fields keep the types that they had."
    )
    assert ran("check-deploy", "--documents", "0")[0] == 0
    code, out, _ = ran("check-deploy", "--json")
    [group] = json.loads(out)["groups"]
    assert (code, group["continues"], group["read"]) == (1, False, 1)
    assert group["unfit"][0]["field"] == "street"


def test_check_deploy_gives_data(saga: Definition) -> None:
    begun(saga)
    data = json.loads(said("check-deploy", "--json"))
    assert (data["checked"], [group["continues"] for group in data["groups"]]) == (1, [True])
    registry._sagas["flow"] = {1: flow(["a", simple("b", optional=True)])}
    code, out, error = ran("check-deploy", "--json")
    [group] = json.loads(out)["groups"]
    assert (code, group["continues"], group["runs"]) == (1, False, 1)
    assert group["mismatch"].startswith("<Saga flow v1> has other steps")
    assert error.startswith("Checked 1 unfinished run: this code cannot continue 1.")


# --- as a process --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [(["verify"], 0), (["check-deploy"], 1), (["archive", "--older-than", "90"], 2)],
)
def test_the_exit_code_is_for_scripts(
    process_environment: dict[str, str], words: list[str], code: int
) -> None:
    with registry.isolated():
        registry.register(gone := flow(["a"], name="gone"))
        begun(gone)
    done = _manage(process_environment, *words)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if words == ["check-deploy"]:
        assert "No saga is named 'gone'" in done.stdout
        assert done.stderr.startswith("CommandError: Checked 1 unfinished run:")


def _manage(environment: dict[str, str], *words: str) -> Any:
    return subprocess.run(
        [sys.executable, "manage.py", "sagas", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
