"""What a campaign found, as text and as data."""

from __future__ import annotations

from typing import Any

from project.chaos.campaign import QUIESCE, Campaign, Outcome
from project.chaos.recovery import BOUND, quantiles, too_slow
from project.chaos.verdict import by_invariant, kinds

_SHOWN = 5  # violations of each invariant


def failed(campaign: Campaign, outcome: Outcome) -> bool:
    """Whether a promise was broken, or so little happened that nothing was shown."""
    broken = outcome.verdict.violations or outcome.accepted.errors or outcome.quiesced is None
    short = outcome.vacuous or too_slow(outcome.recovery)
    return bool(broken or (short and not campaign.plan.mutant))


def document(campaign: Campaign, outcome: Outcome) -> dict[str, Any]:
    """All of it, for machines."""
    verdict, accepted = outcome.verdict, outcome.accepted
    return {
        "seed": campaign.plan.seed,
        "broker": campaign.plan.broker,
        "mutant": campaign.plan.mutant or None,
        "sagas": list(campaign.sagas),
        "accepted": len(accepted.runs),
        "statuses": dict(verdict.statuses),
        "wrong": {kind: verdict.counts[kind] for kind in kinds()},
        "violations": by_invariant(verdict),
        "errors": accepted.errors,
        "cancels": {"accepted": accepted.cancels, "refused": accepted.refused},
        "operators": {"accepted": outcome.operators[0], "refused": outcome.operators[1]},
        "rolled_back": len(accepted.rolled_back),
        "start_p99_seconds": _p99(accepted.waits),
        "faults": outcome.injected,
        "seen": dict(verdict.seen),
        "vacuous": outcome.vacuous,
        "prolonged_seconds": outcome.prolonged,
        "quiesced_seconds": outcome.quiesced,
        "recovery_seconds": {
            "bound": BOUND,
            "taken_over": len(outcome.recovery),
            "too_slow": len(too_slow(outcome.recovery)),
            **{name: quantiles(values) for name, values in _recovery(outcome).items()},
        },
        "runs_per_second": {"calm": outcome.calm_rate, "chaos": outcome.chaos_rate},
        "web": {"memory_bytes": outcome.web_memory, "files": outcome.web_files},
        "failed": failed(campaign, outcome),
        "log": outcome.log,
    }


def text(campaign: Campaign, outcome: Outcome) -> str:
    """All of it, for people."""
    verdict, accepted = outcome.verdict, outcome.accepted
    lines = [
        f"seed {campaign.plan.seed}, {campaign.plan.broker}, {campaign.runs} runs"
        + (f", mutant {campaign.plan.mutant}" if campaign.plan.mutant else ""),
        f"accepted {len(accepted.runs)}: {_counted(verdict.statuses)}",
        _counted({kind: verdict.counts[kind] for kind in kinds()}),
        f"faults: {_counted(outcome.injected)}; prolonged by {outcome.prolonged:.0f} s until each "
        "had struck",
        f"seen: {_counted(verdict.seen)}",
        f"operators: {_counted(outcome.operators[0])}; "
        f"refused {sum(outcome.operators[1].values())}",
        f"cancels accepted {accepted.cancels}, refused {accepted.refused}; "
        f"starts rolled back {len(accepted.rolled_back)}; "
        f"a start was answered within {_p99(accepted.waits):.1f} s (p99, retries included)",
        f"quiesced {outcome.quiesced:.1f} s after the heal"
        if outcome.quiesced is not None
        else f"NOT quiesced {QUIESCE:g} s after the heal",
        f"recovery of {len(outcome.recovery)} lost attempts, from their claims (p50 / p99 / max): "
        + "; ".join(f"{name} {_spread(values)}" for name, values in _recovery(outcome).items()),
        f"runs per second: calm {outcome.calm_rate:.1f}, chaos {outcome.chaos_rate:.1f}",
        f"web: {_megabytes(outcome.web_memory)}, open files "
        f"{outcome.web_files[0]} to {outcome.web_files[1]}",
    ]
    for invariant, violations in sorted(by_invariant(verdict).items()):
        lines.append(f"BROKEN {invariant}: {len(violations)} times")
        lines += [f"  {violation}" for violation in violations[:_SHOWN]]
    if accepted.errors:
        lines.append(f"BROKEN: {accepted.errors} starts were never answered")
    if slow := too_slow(outcome.recovery):
        lines.append(
            f"TOO SLOW: {len(slow)} of {len(outcome.recovery)} lost attempts took the engine more "
            f"than {BOUND:g} s, which is three times lease and sweep"
        )
    lines += [f"TOO LITTLE: {what}" for what in outcome.vacuous if not campaign.plan.mutant]
    if not verdict.violations and accepted.runs:
        bound = 3 / len(accepted.runs)
        lines.append(
            f"0 violations in {len(accepted.runs)} runs: the rate is below {bound:.2%} "
            "with 95% confidence (rule of three)"
        )
    return "\n".join(lines)


def _recovery(outcome: Outcome) -> dict[str, list[float]]:
    """What lost attempts waited for: the engine is charged with what is neither of the others."""
    return {
        "engine": [wait.engine for wait in outcome.recovery],
        "queue": [wait.queue for wait in outcome.recovery],
        "outage": [wait.outage for wait in outcome.recovery],
        "in all": [wait.total for wait in outcome.recovery],
    }


def _spread(values: list[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in quantiles(values).values()) + " s"


def _counted(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))] if values else 0.0


def _megabytes(sizes: tuple[int, int]) -> str:
    return f"{sizes[0] / 2**20:.0f} to {sizes[1] / 2**20:.0f} MB"
