import threading

import pytest

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.inventory.fake import FakeInventory


def reserve(fake: FakeInventory, key: str = "k") -> None:
    fake.reserve("tea", 1, "order:1", key=key, timeout=1.0)


def test_a_scripted_failure_before_the_effect_leaves_no_effect() -> None:
    fake = FakeInventory()
    fake.fail_next("reserve", PartnerUnknown)
    with pytest.raises(PartnerUnknown, match="inventory reserve"):
        reserve(fake)
    assert fake.effects == []
    reserve(fake)


def test_a_scripted_failure_after_the_effect_leaves_it() -> None:
    fake = FakeInventory()
    fake.fail_next("reserve", PartnerUnknown, after_effect=True)
    with pytest.raises(PartnerUnknown):
        reserve(fake)
    assert [effect.kind for effect in fake.effects] == ["reserved"]


def test_a_failure_can_be_scripted_for_several_calls() -> None:
    fake = FakeInventory()
    fake.fail_next("reserve", PartnerUnavailable, times=2, retry_after=3.0)
    for _ in range(2):
        with pytest.raises(PartnerUnavailable) as caught:
            reserve(fake)
        assert caught.value.retry_after == 3.0
    reserve(fake)


def test_scripted_failures_of_other_operations_wait_for_theirs() -> None:
    fake = FakeInventory()
    fake.fail_next("release", PartnerRefused)
    reserve(fake)
    with pytest.raises(PartnerRefused):
        fake.release("rsv_fake_1", key="u", timeout=1.0)


def test_scripted_failures_come_in_the_order_of_the_script() -> None:
    fake = FakeInventory()
    fake.fail_next("reserve", PartnerUnavailable)
    fake.fail_next("reserve", PartnerRefused)
    with pytest.raises(PartnerUnavailable):
        reserve(fake)
    with pytest.raises(PartnerRefused):
        reserve(fake)


def test_threads_with_one_key_make_one_effect() -> None:
    fake = FakeInventory()
    threads = [threading.Thread(target=reserve, args=(fake,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fake.effects) == 1


def test_a_fake_shows_what_happened_twice() -> None:
    fake = FakeInventory()
    reserve(fake, "k")
    assert fake.audit() == []
    reserve(fake, "another")
    assert [problem.why for problem in fake.audit()] == ["same reference"]
