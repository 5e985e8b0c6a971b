"""The engine's settings: the Django setting ``SAGAS``, typed, with defaults."""

from __future__ import annotations

from functools import cache

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Conf(BaseModel):
    """What ``SAGAS = {...}`` may contain. All times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: How long a claim lives unless its worker renews it.
    LEASE_SECONDS: float = Field(30, gt=0)
    #: Pause between two looks of a worker's sweep at what is due.
    SWEEP_SECONDS: float = Field(1, gt=0)
    #: A message not picked up after this long is taken for lost and sent again.
    RESEND_SECONDS: float = Field(30, gt=0)
    #: How many runs one sweep sends at most.
    SWEEP_BATCH: int = Field(100, gt=0)
    #: One message carries further steps only while they surely end within this time.
    CARRY_SECONDS: float = Field(240, gt=0)
    #: From a step's soft time limit (an exception) to its hard one (the process ends).
    GRACE_SECONDS: float = Field(5, gt=0)
    #: How long a deployment may take. A worker leaves a younger run whose definition it does not
    #: know to other workers; an older one needs attention.
    DEPLOY_SECONDS: float = Field(600, ge=0)
    #: Attempts of one step that may die without an answer before a person is asked.
    POISON_ATTEMPTS: int = Field(5, gt=0)
    #: Largest payload or step result that is stored, in bytes of JSON.
    MAX_DOCUMENT_BYTES: int = Field(262_144, gt=0)
    #: Starts, cancels and signals that one user may send through the API in a minute.
    API_WRITES_PER_MINUTE: int = Field(600, gt=0)


@cache
def conf() -> Conf:
    """The engine's settings.

    Raises:
        ImproperlyConfigured: a name is unknown or a value is out of range.
    """
    try:
        return Conf(**getattr(django_settings, "SAGAS", {}))
    except ValidationError as error:
        listed = "; ".join(f"SAGAS[{e['loc'][0]!r}]: {e['msg']}" for e in error.errors())
        raise ImproperlyConfigured(f"The setting SAGAS is wrong. {listed}.") from None


def _forget(*, setting: str, **_: object) -> None:
    if setting == "SAGAS":
        conf.cache_clear()


setting_changed.connect(_forget)
