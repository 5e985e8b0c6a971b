from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from sagas.errors import VerbRefused
from sagas.operate.asker import Shell, asker

pytestmark = pytest.mark.django_db


def test_a_user_is_found_with_the_rights_that_they_have_by_now() -> None:
    User.objects.create_user("ann")
    assert asker("ann").get_username() == "ann"
    assert not asker("ann").has_perm("sagas.change_run")


@pytest.mark.parametrize("name", ["gone", "inactive"])
def test_who_has_left_is_nobody(name: str) -> None:
    User.objects.create_user("inactive", is_active=False)
    with pytest.raises(VerbRefused, match=f"{name}, who asked for this, has left"):
        asker(name)


def test_whoever_sits_at_the_shell_may_do_everything() -> None:
    person = asker("shell:root")
    assert (person.get_username(), person.has_perm("sagas.change_run")) == ("shell:root", True)


def test_no_user_gets_the_shells_rights_by_a_name() -> None:
    User.objects.create_user("shell:eve")
    assert not asker("shell:eve").has_perm("sagas.change_run")


def test_the_name_at_the_command_line_is_not_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "bea")
    assert Shell().get_username() != "shell:bea"
