"""Fuzzes an API by its own OpenAPI description, with Schemathesis: every check that it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.schemas import BaseSchema


@dataclass(frozen=True)
class Finding:
    """Something that does not hold: of which operation, what, and the request that shows it."""

    operation: str
    what: str
    request: str
    answer: str = ""

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.operation, self.what, self.request, self.answer)))


@dataclass
class Report:
    """What was sent and accepted, by operation, and what was found: one of a kind for each."""

    sent: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def add(self, kind: str, finding: Finding) -> None:
        """Keep the first of its kind."""
        self.findings.setdefault((finding.operation, kind), finding)

    def __str__(self) -> str:
        rows = [f"{n:>7} {self.accepted[label]:>8}  {label}" for label, n in self.sent.items()]
        heads = [f"{'sent':>7} {'accepted':>8}", *sorted(rows, key=lambda row: row[16:])]
        found = [f"\n{finding}" for finding in self.findings.values()]
        return "\n".join([*heads, *found, f"\n{len(self.findings)} found."])


def configuration(
    examples: int,
    seed: int,
    *,
    headers: Mapping[str, Mapping[str, str]],
    known: Mapping[str, Sequence[str | int]] = {},
    lenient: Mapping[str, Sequence[int]] = {},
) -> SchemathesisConfig:
    """How to fuzz.

    Args:
        examples: how many requests of each operation are made up, after those for each bound of
            each field.
        headers: by pattern of paths: what requests bring, but for those that must be refused
            without it.
        known: by place (such as ``path.name``): values that mean something there, sent often.
        lenient: by operation: statuses that a request which fits the description may get too,
            because what it must fit depends on more than the description can say.
    """
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "dictionaries": {_name(place): {"values": v} for place, v in known.items()},
            "parameters": {
                place: {"dictionary": _name(place), "probability": 0.7} for place in known
            },
            "generation": {
                "max-examples": examples,
                "database": "none",
                "no-shrink": True,
                "with-security-parameters": False,  # what is made up would give way to `headers`
            },
            "operations": [
                *({"include-path-regex": p, "headers": dict(h)} for p, h in headers.items()),
                *({"include-name": name, "checks": _accepting(s)} for name, s in lenient.items()),
            ],
        }
    )


def _accepting(statuses: Sequence[int]) -> dict[str, object]:
    return {"positive_data_acceptance": {"expected-statuses": [*_ACCEPTANCE, *map(str, statuses)]}}


_ACCEPTANCE = ("2xx", "3xx", "401", "403", "404", "409", "429")


def fuzz(schema: BaseSchema) -> Report:
    """Send what the schema's configuration says; give what came of it."""
    report = Report()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _count(report, event.recorder)
            for kind, finding in _findings(event.recorder):
                report.add(kind, finding)
        elif isinstance(event, events.NonFatalError):
            report.add("error", Finding(event.label, repr(event.value), ""))
        elif isinstance(event, events.FatalError):
            raise event.exception
    return report


def _count(report: Report, recorder: ScenarioRecorder) -> None:
    for case_id, case in recorder.cases.items():
        label = case.value.operation.label
        report.sent[label] += 1
        response = recorder.find_response(case_id=case_id)
        report.accepted[label] += response is not None and response.status_code < 400


def _findings(recorder: ScenarioRecorder) -> Iterator[tuple[str, Finding]]:
    for case_id, checks in recorder.checks.items():
        operation = recorder.cases[case_id].value.operation.label
        response = recorder.find_response(case_id=case_id)
        answer = f"{response.status_code} {response.text[:500]}" if response else ""
        for check in checks:
            if check.failure_info is not None:
                shown = check.failure_info.code_sample[:2000]
                finding = Finding(operation, str(check.failure_info.failure), shown, answer)
                yield check.name, finding


def _name(place: str) -> str:
    return place.replace(".", "_")
