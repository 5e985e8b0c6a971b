import json
from pathlib import Path

import pytest

from bench.load.requests import Request, lines, read, under_way


def of(kind: str, milliseconds: float, *, failed: bool = False) -> Request:
    return Request(kind, 100.0, milliseconds / 1000, failed)


def test_each_kind_has_a_line_and_all_have_one() -> None:
    requests = [of("read", ms) for ms in range(1, 101)] + [of("start", 500, failed=True)]
    read_line, start_line, all_line = lines(requests, seconds=10)
    assert (read_line.kind, read_line.count, read_line.failed) == ("read", 100, 0)
    assert read_line.p50 == pytest.approx(50.5)
    assert read_line.p95 == pytest.approx(95.05)
    assert read_line.p99 == pytest.approx(99.01)
    assert read_line.per_second == pytest.approx(10)
    assert (start_line.p50, start_line.p99, start_line.failed) == (500, 500, 1)
    assert (all_line.kind, all_line.count) == ("all", 101)
    assert all_line.failed == pytest.approx(1 / 101)


def test_no_request_makes_no_line() -> None:
    assert lines([], seconds=10) == []


def test_what_is_under_way_is_counted_for_as_long_as_it_is() -> None:
    requests = [Request("a", 10.0, 4.0, False), Request("b", 9.0, 2.0, False)]
    assert under_way(requests, 8.0, 10.0) == pytest.approx(1.5)
    assert under_way(requests, 0.0, 2.0) == 0


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    records = tmp_path / "requests.jsonl"
    whole = json.dumps({"kind": "a", "ended": 1.0, "seconds": 0.5, "failed": False})
    records.write_text(f'{whole}\n{{"kind": "b", "en')
    assert read(records) == [Request("a", 1.0, 0.5, False)]
