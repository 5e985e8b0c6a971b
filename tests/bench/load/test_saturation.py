from collections.abc import Sequence

from bench.load.saturation import IN_A_ROW, Sample, judge


def samples(**shares: Sequence[float]) -> list[Sample]:
    moments = range(len(next(iter(shares.values()))))
    return [Sample(float(at), {name: seen[at] for name, seen in shares.items()}) for at in moments]


def test_what_was_full_first_is_named_with_its_moment() -> None:
    verdict = judge(samples(cpu=[0.2, 0.5, *[1.0] * 6], threads=[0.2, 0.95, 0.95, *[0.95] * 5]))
    assert (verdict.first, verdict.since) == ("threads", 1.0)
    assert str(verdict) == "threads, from 1.0 s on"


def test_of_two_at_once_the_fuller_one_is_named() -> None:
    assert judge(samples(cpu=[0.92] * 5, threads=[0.99] * 5)).first == "threads"


def test_a_peak_is_not_taken_for_the_bound() -> None:
    peaks = [1.0] * (IN_A_ROW - 1)
    verdict = judge(samples(cpu=[*peaks, 0.2, *peaks, 0.2], threads=[0.3] * 8))
    assert verdict.first is None
    assert str(verdict) == "nothing; cpu was the busiest, at 80%"


def test_too_few_samples_tell_nothing() -> None:
    assert judge(samples(cpu=[1.0])).first is None
    assert str(judge([])) == "nothing: too short to tell"
