"""What the engine keeps in Django's cache: plain data, which JSON can say."""

from __future__ import annotations

import json
from typing import Any


class JSONSerializer:
    """For ``OPTIONS["serializer"]`` of Django's Redis cache, which otherwise pickles.

    Reading a pickle runs what it says, so whoever could write to Redis could run code in every
    process that reads the cache. Integers are written as digits, which Redis can count up.
    """

    def dumps(self, value: Any) -> str:
        """Write a value. Raises TypeError for one that has no JSON form."""
        return json.dumps(value)

    def loads(self, data: str | bytes) -> Any:
        """Read a value. Raises ValueError for anything but JSON."""
        return json.loads(data)
