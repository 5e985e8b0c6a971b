"""Links from a run's page: to other tools, and to the page of what the run is about."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import quote

from sagas.conf import conf
from sagas.models import Run
from sagas.operate.reveal import definition

_log = logging.getLogger(__name__)


def links(run: Run) -> list[tuple[str, str]]:
    """Texts with addresses; only http, https and addresses of this site are among them."""
    return [(text, url) for text, url in _all(run) if _linkable(url)]


def _all(run: Run) -> Iterator[tuple[str, str]]:
    yield "what it is about", _about(run)
    places = {"run_id": str(run.id), "saga": run.saga, "business_key": run.business_key}
    quoted = {name: quote(value, safe="") for name, value in places.items()}
    for text, template in conf().LINKS.items():
        yield text, template.format(**quoted)


def _about(run: Run) -> str:
    saga = definition(run)
    if saga is None or saga.about is None:
        return ""
    try:
        return str(saga.about(run.business_key))
    except Exception:
        _log.exception("Saga %r cannot say where the page of run %s is.", run.saga, run.id)
        return ""


def _linkable(url: str) -> bool:
    """Whether a click on it stays harmless: no script, and no site that only looks like a path."""
    plain = url.isprintable() and "\\" not in url
    own = url.startswith("/") and not url.startswith("//")
    return plain and (own or url.lower().startswith(("https://", "http://")))
