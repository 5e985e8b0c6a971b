"""What a campaign found, as text and as data."""

from __future__ import annotations

from typing import Any

from project.chaos.campaign import QUIESCE, Campaign, Outcome
from project.chaos.verdict import by_invariant, kinds, recovery_of

_SHOWN = 5  # violations of each invariant


def failed(campaign: Campaign, outcome: Outcome) -> bool:
    """Whether a promise was broken, or so little happened that nothing was shown."""
    vacuous = outcome.vacuous and not campaign.plan.mutant
    broken = outcome.verdict.violations or outcome.accepted.errors
    return bool(broken or outcome.quiesced is None or vacuous)


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
        "rolled_back": len(accepted.rolled_back),
        "start_p99_seconds": _p99(accepted.waits),
        "faults": outcome.injected,
        "seen": dict(verdict.seen),
        "vacuous": outcome.vacuous,
        "quiesced_seconds": outcome.quiesced,
        "recovery_seconds": recovery_of(verdict),
        "runs_per_second": {"calm": outcome.calm_rate, "chaos": outcome.chaos_rate},
        "web": {"memory_bytes": outcome.web_memory, "files": outcome.web_files},
        "failed": failed(campaign, outcome),
        "log": outcome.log,
    }


def text(campaign: Campaign, outcome: Outcome) -> str:
    """All of it, for people."""
    verdict, accepted = outcome.verdict, outcome.accepted
    recovery = recovery_of(verdict)
    lines = [
        f"seed {campaign.plan.seed}, {campaign.plan.broker}, {campaign.runs} runs"
        + (f", mutant {campaign.plan.mutant}" if campaign.plan.mutant else ""),
        f"accepted {len(accepted.runs)}: {_counted(verdict.statuses)}",
        _counted({kind: verdict.counts[kind] for kind in kinds()}),
        f"faults: {_counted(outcome.injected)}",
        f"seen: {_counted(verdict.seen)}",
        f"cancels accepted {accepted.cancels}, refused {accepted.refused}; "
        f"starts rolled back {len(accepted.rolled_back)}; "
        f"a start was answered within {_p99(accepted.waits):.1f} s (p99, retries included)",
        f"quiesced {outcome.quiesced:.1f} s after the heal"
        if outcome.quiesced is not None
        else f"NOT quiesced {QUIESCE:g} s after the heal",
        "recovery of a lost attempt, from its claim: "
        + ", ".join(f"{name} {value:.1f} s" for name, value in recovery.items()),
        f"runs per second: calm {outcome.calm_rate:.1f}, chaos {outcome.chaos_rate:.1f}",
        f"web: {_megabytes(outcome.web_memory)}, open files "
        f"{outcome.web_files[0]} to {outcome.web_files[1]}",
    ]
    for invariant, violations in sorted(by_invariant(verdict).items()):
        lines.append(f"BROKEN {invariant}: {len(violations)} times")
        lines += [f"  {violation}" for violation in violations[:_SHOWN]]
    if accepted.errors:
        lines.append(f"BROKEN: {accepted.errors} starts were never answered")
    lines += [f"TOO LITTLE: {what}" for what in outcome.vacuous if not campaign.plan.mutant]
    if not verdict.violations and accepted.runs:
        bound = 3 / len(accepted.runs)
        lines.append(
            f"0 violations in {len(accepted.runs)} runs: the rate is below {bound:.2%} "
            "with 95% confidence (rule of three)"
        )
    return "\n".join(lines)


def _counted(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))] if values else 0.0


def _megabytes(sizes: tuple[int, int]) -> str:
    return f"{sizes[0] / 2**20:.0f} to {sizes[1] / 2**20:.0f} MB"
