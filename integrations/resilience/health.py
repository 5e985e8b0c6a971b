"""What the breakers know of the partners, for the operators' overview."""

from __future__ import annotations

from integrations.resilience import state, store
from integrations.resilience.conf import policies
from integrations.resilience.partners import known
from integrations.resilience.state import Standing, State
from sagas.signals import Health, PartnerHealth


def tell(**_: object) -> list[PartnerHealth]:
    """The partners that were called lately or whose breaker has opened. For `partner_health`."""
    names = known()
    try:
        found = state.standings(names | state.troubled())
    except store.Away:
        lost = "circuit breaker: its state cannot be reached, so calls pass"
        return [PartnerHealth(name, Health.UNKNOWN, lost) for name in sorted(names)]
    seen = (each for each in found if each.calls or each.generation)
    return [_told(each) for each in seen]


def _told(standing: Standing) -> PartnerHealth:
    health = _health(standing)
    if health is not Health.DOWN:
        return PartnerHealth(standing.partner, health, _line(standing))
    line, since = _line(standing), standing.since
    return PartnerHealth(standing.partner, health, line, since=since, probe_at=standing.probe_at)


def words(standing: Standing) -> str:
    """Why a breaker stands as it does, and what comes next; "" if nobody said."""
    said = []
    if standing.state is State.CLOSED:
        said.append(f"{standing.failed} of {standing.calls} calls failed, {standing.slow} slow")
    elif standing.why:
        said.append(standing.why)
    if standing.state is State.OPEN and standing.probe_in is not None:
        said.append(f"probe in {standing.probe_in:.0f} s")
    if standing.state is State.HALF_OPEN:
        said.append("the next call is a probe")
    return ", ".join(said)


def _line(standing: Standing) -> str:
    return ", ".join(filter(None, (f"circuit breaker: {standing.state}", words(standing))))


def _health(standing: Standing) -> Health:
    if standing.state is not State.CLOSED:
        return Health.DOWN
    settings = policies(standing.partner).breaker
    told = standing.calls >= settings.minimum / 2  # one failure among a few calls tells nothing
    bad = standing.failure_rate >= settings.failure_rate / 2
    return Health.DEGRADED if told and bad else Health.OK
