"""Every claim of this suite is made twice: of the fake, and of the real client."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integrations.conformance.rig import CONNECTS, FAKES, Rig


@pytest.fixture(params=["fake", "sandbox"])
def rigs(request: pytest.FixtureRequest, reference: str) -> Iterator[Callable[[str], Rig]]:
    """Makes the rig of a partner; afterwards nothing may have happened twice."""
    made: list[Rig] = []

    def make(partner: str) -> Rig:
        if request.param == "fake":
            fake = FAKES[partner]()
            rig = Rig(partner, fake, reference, fake, None)
        else:
            sandbox = request.getfixturevalue("sandbox")
            rig = Rig(partner, CONNECTS[partner](), reference, None, sandbox)
        made.append(rig)
        return rig

    yield make
    assert [rig.doubles() for rig in made] == [[] for _ in made]
