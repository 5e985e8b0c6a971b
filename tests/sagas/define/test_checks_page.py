"""docs/checks.md lists every rule that a definition must keep, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from sagas import define
from tests.sagas.define.test_beginners_mistakes import MISTAKES

_ENGINE = Path(define.__file__).parents[1]
_RULE = re.compile(r"sagas\.E0\d\d")


def rules_in_code() -> set[str]:
    texts = [path.read_text() for path in (_ENGINE / "define").rglob("*.py")]
    return {rule for text in texts for rule in _RULE.findall(text)}


def test_the_page_lists_each_rule_once_with_its_cure() -> None:
    page = (_ENGINE.parent / "docs/checks.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `sagas.E0")]
    assert sorted(_RULE.findall(row[0])[0] for row in rows) == sorted(rules_in_code())
    assert all(len(row) == 3 and len(row[2]) > 5 for row in rows)


def test_each_rule_is_broken_by_some_beginner() -> None:
    """But the last one, which takes two models; ``test_validate`` breaks it."""
    broken = {f"sagas.{rule}" for _, rule, *_ in MISTAKES.values()}
    assert rules_in_code() - broken == {"sagas.E022"}
