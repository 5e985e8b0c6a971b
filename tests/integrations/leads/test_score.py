import pytest

from integrations.leads.score import QUALIFIED, Score, score


def test_a_big_company_with_money_is_worth_a_call() -> None:
    assert score("ann@lee.example", 2_000, 60_000) == Score(100, qualified=True)


def test_a_person_without_money_is_not() -> None:
    assert score("ann@gmail.com", 1, 0) == Score(0, qualified=False)


@pytest.mark.parametrize("email", ["ann@GMAIL.com", "ann@web.de"])
def test_an_address_of_a_free_mail_service_counts_nothing(email: str) -> None:
    business, free = score("ann@lee.example", 100, 10_000), score(email, 100, 10_000)
    assert business.points - free.points == 20
    assert (business.qualified, free.qualified) == (True, False)


@pytest.mark.parametrize(
    ("employees", "budget", "points"),
    [(9, 999, 20), (10, 1_000, 45), (99, 9_999, 45), (100, 10_000, 75), (1_000, 50_000, 100)],
)
def test_points_rise_at_the_steps(employees: int, budget: int, points: int) -> None:
    judged = score("ann@lee.example", employees, budget)
    assert judged.points == points
    assert judged.qualified == (points >= QUALIFIED)
