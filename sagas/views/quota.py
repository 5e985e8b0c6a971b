"""How many changing requests a user may send through the API in a minute."""

from __future__ import annotations

from sagas.conf import conf
from sagas.operate.throttle import A_MINUTE, count, hashed


def spend(user_pk: object) -> None:
    """Count one changing request of a user.

    Raises:
        Throttled: this minute's quota is used up.
    """
    limit = conf().API_WRITES_PER_MINUTE
    what = f"changing requests (more than {limit} in a minute)"
    count({hashed("writes", str(user_pk)): limit}, A_MINUTE, what=what)
