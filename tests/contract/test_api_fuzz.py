from project.world import World
from tests.contract.fuzz import fuzz


def test_fuzzing_our_api_finds_nothing(world: World) -> None:
    from tests.contract.fuzz.api import our_api  # models cannot be imported yet above

    report = fuzz(our_api(world, examples=5, seed=1))
    assert not report.findings, str(report)
    assert min(report.sent.values()) >= 5
    assert report.accepted["POST /api/sagas/{name}/runs"]
