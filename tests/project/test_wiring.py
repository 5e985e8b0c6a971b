from pydantic import SecretStr

from project import wiring


def test_each_part_of_the_address_finds_its_place() -> None:
    url = SecretStr("postgresql://user:p%40ss@there:6000/shop?sslmode=require&connect_timeout=5")
    assert wiring.database(url) == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "user",
        "PASSWORD": "p@ss",
        "HOST": "there",
        "PORT": "6000",
        "OPTIONS": {"sslmode": "require", "connect_timeout": "5"},
        "DISABLE_SERVER_SIDE_CURSORS": False,
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
    }


def test_behind_a_pooler_no_cursor_stays_in_the_server() -> None:
    described = wiring.database(SecretStr("postgresql://there/shop"), pooled=True)
    assert described["DISABLE_SERVER_SIDE_CURSORS"] is True


def test_a_socket_is_a_host() -> None:
    described = wiring.database(SecretStr("postgresql://postgres@/postgres?host=%2Ftmp%2Fsocket"))
    assert (described["HOST"], described["PORT"]) == ("/tmp/socket", "")  # noqa: S108  no file


def test_without_an_address_the_absent_database_stands_in() -> None:
    assert wiring.database(None)["ENGINE"] == "project.engines.absent.postgresql"


def test_an_absent_address_says_so() -> None:
    assert wiring.address(SecretStr("redis://there"), "absent") == "redis://there"
    assert wiring.address(None, "absent") == "absent"
