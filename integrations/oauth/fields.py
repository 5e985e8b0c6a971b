"""The column of a sealed secret."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldError
from django.db import models

from integrations.oauth.sealing import Sealed


class SealedField(models.TextField[Sealed | None, Sealed | None]):
    """Holds a `Sealed` and stores its text; nobody asks the database what is in it."""

    def from_db_value(self, value: str | None, *_: object) -> Sealed | None:
        return None if value is None else Sealed(value)

    def get_prep_value(self, value: Any) -> str | None:
        """Only what is sealed: a plain secret must not get into the database by a slip."""
        if value is not None and not isinstance(value, Sealed):
            raise TypeError(f"{self.name} takes a Sealed, not a {type(value).__name__}")
        return None if value is None else value.text

    def to_python(self, value: Any) -> Sealed | None:
        return Sealed(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> str:
        sealed = self.value_from_object(obj)
        return "" if sealed is None else sealed.text

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted: it can be asked for isnull only")
        return super().get_lookup(lookup_name)
