"""Forms sent to the real shop, performed by a real worker, served by real partners."""

from __future__ import annotations

from project.demo.customer import play
from project.demo.report import report
from project.demo.scenarios import SCENARIOS
from project.world import World


def test_every_run_of_the_demo_ends_as_it_must_and_each_effect_happens_once(
    world: World,
) -> None:
    partners = world.partners()
    shop = world.web(0)
    world.workers()
    for scenario in SCENARIOS:
        text, right = report(scenario, play(scenario, shop, partners), partners.ledger)
        assert right, f"{scenario.title}\n{text}"
    assert partners.ledger.audit() == []
