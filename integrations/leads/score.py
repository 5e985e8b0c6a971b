"""How promising a lead is: points for what is known about budget, size and seriousness."""

from __future__ import annotations

from dataclasses import dataclass

QUALIFIED = 60
"""Points from which sales people look at a lead."""

_BUDGET = ((50_000, 40), (10_000, 25), (1_000, 10))
_EMPLOYEES = ((1_000, 40), (100, 30), (10, 15))
_BUSINESS_ADDRESS = 20
_FREE_MAIL = {
    *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com"),
    *("icloud.com", "aol.com", "gmx.de", "gmx.net", "web.de", "proton.me", "mail.com"),
}


@dataclass(frozen=True, slots=True)
class Score:
    """Points of 100, and whether they are enough."""

    points: int
    qualified: bool


def score(email: str, employees: int, budget: int) -> Score:
    """Judge a lead.

    Args:
        email: whose domain tells a business from a person.
        employees: how many the company has.
        budget: in whole units of the currency.
    """
    domain = email.rpartition("@")[2].lower()
    points = (
        _points(_BUDGET, budget)
        + _points(_EMPLOYEES, employees)
        + (0 if domain in _FREE_MAIL else _BUSINESS_ADDRESS)
    )
    return Score(points, points >= QUALIFIED)


def _points(steps: tuple[tuple[int, int], ...], value: int) -> int:
    return next((points for least, points in steps if value >= least), 0)
