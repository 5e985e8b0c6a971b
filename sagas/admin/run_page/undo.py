"""What undoing a run would do, as pages show it: in order, and no longer than can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagas.define.preview import Preview

_MOST, _FEW = 10, 3  # shown at once; no fold for so few more


@dataclass(frozen=True, slots=True)
class Capped:
    """The beginning of a list, and the rest of it to be unfolded."""

    head: Sequence[Any]
    rest: Sequence[Any]

    @property
    def more(self) -> int:
        """How many steps the rest has; of stages, what is in them."""
        return sum(len(one) if isinstance(one, tuple) else 1 for one in self.rest)

    @property
    def next(self) -> int:
        """The number of the rest's first."""
        return len(self.head) + 1

    def __bool__(self) -> bool:
        return bool(self.head)


def capped(items: Sequence[Any]) -> Capped:
    """A list as a page shows it."""
    cut = _MOST if len(items) > _MOST + _FEW else len(items)
    return Capped(items[:cut], items[cut:])


def listed(preview: Preview) -> dict[str, Any]:
    """What the template of the preview shows."""
    return {
        "refusal": preview.refusal,
        "unless": preview.unless,
        "count": preview.count,
        "first": capped(preview.first),
        "stages": capped(preview.stages),
        "kept": capped(preview.kept),
    }
