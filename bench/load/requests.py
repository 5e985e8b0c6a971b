"""What became of the requests: a line for each kind, and how many were under way at a time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles


@dataclass(frozen=True)
class Request:
    """One request; its time is seconds since the epoch."""

    kind: str
    ended: float
    seconds: float
    failed: bool


@dataclass(frozen=True)
class Line:
    """All requests of a kind. Times are in ms; percentiles are of all, failed ones too."""

    kind: str
    count: int
    failed: float
    p50: float
    p95: float
    p99: float
    per_second: float


def read(path: Path) -> list[Request]:
    """The requests that the users wrote down; a line that was cut off is left out."""
    whole = path.read_text().rpartition("\n")[0]
    return [Request(**json.loads(line)) for line in whole.splitlines()]


def lines(requests: Sequence[Request], seconds: float) -> list[Line]:
    """A line for each kind, by name, and one for all of them."""
    kinds: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        kinds[request.kind].append(request)
    found = [_line(kind, kinds[kind], seconds) for kind in sorted(kinds)]
    return [*found, _line("all", requests, seconds)] if requests else []


def under_way(requests: Iterable[Request], since: float, until: float) -> float:
    """How many requests were under way between two moments, on average."""
    spans = (
        min(request.ended, until) - max(request.ended - request.seconds, since)
        for request in requests
    )
    return sum(span for span in spans if span > 0) / (until - since)


def _line(kind: str, requests: Sequence[Request], seconds: float) -> Line:
    times = [1000 * request.seconds for request in requests]
    cuts = quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
    failed = sum(request.failed for request in requests) / len(requests)
    rate = len(requests) / seconds
    return Line(kind, len(requests), failed, cuts[49], cuts[94], cuts[98], rate)
