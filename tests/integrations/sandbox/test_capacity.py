import threading

import pytest

from integrations.sandbox.capacity import Capacity, Floor


class Visit:
    """A request that stays at work until it is told to go."""

    def __init__(self, floor: Floor, service: str = "inventory") -> None:
        self.at_work = threading.Event()
        self._go = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(floor, service))
        self._thread.start()

    def _run(self, floor: Floor, service: str) -> None:
        with floor.working(service):
            self.at_work.set()
            self._go.wait(10)

    def end(self) -> None:
        self._go.set()
        self._thread.join()


def test_beyond_its_capacity_a_service_lets_requests_wait() -> None:
    floor = Floor()
    floor.limit("inventory", Capacity(slots=2, seconds=0))
    first, second = Visit(floor), Visit(floor)
    assert first.at_work.wait(5)
    assert second.at_work.wait(5)
    third, elsewhere = Visit(floor), Visit(floor, "shipping")
    assert elsewhere.at_work.wait(5)
    assert not third.at_work.is_set()
    first.end()
    assert third.at_work.wait(5)
    for visit in (second, third, elsewhere):
        visit.end()


def test_more_capacity_lets_those_go_on_that_wait() -> None:
    floor = Floor()
    floor.limit("inventory", Capacity(slots=1, seconds=0))
    first = Visit(floor)
    assert first.at_work.wait(5)
    second = Visit(floor)
    floor.limit("inventory", Capacity(slots=2, seconds=0))
    assert second.at_work.wait(5)
    third = Visit(floor)
    floor.clear()
    assert third.at_work.wait(5)
    for visit in (first, second, third):
        visit.end()


@pytest.mark.parametrize(("slots", "seconds"), [(0, 1.0), (1, -1.0)])
def test_a_capacity_that_is_none_is_refused(slots: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least one request"):
        Capacity(slots, seconds)
