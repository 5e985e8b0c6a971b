import pytest
from django.db import OperationalError, connection
from django.test import Client

from project import health


def test_a_process_that_answers_is_live(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
def test_a_migrated_database_makes_it_ready(client: Client) -> None:
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


@pytest.mark.django_db
def test_a_missing_migration_is_told_with_the_cure(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("delete from django_migrations where app = 'sessions'")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reason"] == "1 migrations are not applied; run manage.py migrate"


def test_a_database_that_does_not_answer_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: object) -> None:
        raise OperationalError("with its address")

    monkeypatch.setattr(health, "MigrationExecutor", fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reason"] == "the database does not answer"


def test_health_can_only_be_read(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
