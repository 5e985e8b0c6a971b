"""The engine's settings: the Django setting ``SAGAS``, typed, with defaults."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from string import Formatter
from typing import Annotated

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

#: What an address in ``LINKS`` may leave open.
PLACES = frozenset({"run_id", "saga", "business_key"})
_REDACTED = (
    *(
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "credential",
        "credentials",
        "pin",
        "otp",
    ),
    *("token", "jwt", "bearer", "authorization", "api_key", "apikey", "private_key", "cookie"),
    *("cookies", "set_cookie", "session", "session_id", "sessionid", "csrf"),
    *("name", "names", "firstname", "lastname", "fullname", "surname", "username", "nickname"),
    *("holder", "recipient", "contact_person", "signature", "salutation", "gender"),
    *("birth", "birthday", "birthdate", "dateofbirth", "birthplace", "born", "dob", "nationality"),
    *("passport", "id_card", "identity_card", "national_id", "driving_licence", "license_plate"),
    *("ssn", "social_security", "tax_id", "tax_ids", "tax_number", "tax_no", "taxid", "tin"),
    *("vat_id", "vat_number", "vatid"),
    *(
        "iban",
        "bic",
        "account_number",
        "account_no",
        "accountnumber",
        "sort_code",
        "routing_number",
    ),
    *("bank_account", "card", "cards", "card_number", "cardnumber", "pan", "cvc", "cvv"),
    *("email", "emails", "e_mail", "mail", "phone", "phones", "mobile", "telephone", "tel", "fax"),
    *(
        "address",
        "addresses",
        "street",
        "house_number",
        "zip",
        "zipcode",
        "postcode",
        "postal_code",
    ),
    *("ip", "latitude", "longitude", "geo"),
)


def _address(template: str) -> str:
    if problem := next(_wrong_with(template), None):
        raise ValueError(problem)
    return template


def _wrong_with(template: str) -> Iterator[str]:
    if not template.startswith(("https://", "http://", "/")) or template.startswith("//"):
        yield "an address starts with https://, http:// or /"
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        yield f"its braces are wrong: {error}"
        return
    for _, place, form, conversion in parts:
        if place is not None and (place not in PLACES or form or conversion):
            yield f"{{{place}}} is none of {', '.join(f'{{{p}}}' for p in sorted(PLACES))}"


Address = Annotated[str, AfterValidator(_address)]


class Conf(BaseModel):
    """What ``SAGAS = {...}`` may contain. All times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Whether the engine's statements are prepared once for each connection. False behind a pooler
    #: in transaction mode that does not keep them, such as PgBouncer before 1.21.
    PREPARED_STATEMENTS: bool = True
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
    #: How long a deployment may take. A worker leaves a run whose definition it does not know to
    #: other workers; one that none of them has known for so long needs attention.
    DEPLOY_SECONDS: float = Field(600, ge=0)
    #: Pause before a sweep looks again at a run that a hold stops, for once: lifting wakes runs.
    HELD_LOOK_SECONDS: float = Field(300, gt=0)
    #: How many runs a second go on when a hold is lifted, unless the operator says otherwise.
    DRAIN_PER_SECOND: float = Field(50, gt=0)
    #: A run that is overdue by more than this long is listed as stuck.
    STUCK_SECONDS: float = Field(300, gt=0)
    #: How long a signal that no step has taken stays good, unless its sender says otherwise.
    SIGNAL_SECONDS: float = Field(30 * 86_400, gt=0)
    #: Attempts of one step that may die without an answer before a person is asked.
    POISON_ATTEMPTS: int = Field(5, gt=0)
    #: Largest payload or step result that is stored, in bytes of JSON.
    MAX_DOCUMENT_BYTES: int = Field(262_144, gt=0)
    #: How many runs may start one another in a chain, and how many runs all those of one chain may
    #: start in a minute; see ``sagas.run.origin``.
    MAX_DEPTH: int = Field(100, ge=0)
    MAX_STARTS_PER_MINUTE: int = Field(1000, gt=0)
    #: What needs a second person's consent, by the saga's name, or ``*`` for all sagas: verbs,
    #: ``change-input`` (a retry with another input), ``hold``, ``lift`` and ``batch``.
    FOUR_EYES: dict[str, list[str]] = Field(default_factory=dict)
    #: Signs the heads of the audit and the digests of documents, so that whoever can write to the
    #: database cannot forge them; None: the project's SECRET_KEY does. Former keys still check what
    #: they signed.
    AUDIT_KEY: SecretStr | None = Field(None, min_length=32)
    AUDIT_KEY_FALLBACKS: tuple[SecretStr, ...] = ()
    #: Where signed heads of the audit and the events are exported to: the absolute path of a file,
    #: or the dotted path of an object with ``append`` and ``read``; see ``sagas.operate.stores``.
    #: Empty: nowhere.
    AUDIT_ANCHOR: str = ""
    #: How often a worker exports one, if anything was written since.
    ANCHOR_SECONDS: float = Field(300, gt=0)
    #: Fields whose values the admin shows only to those who may reveal them, wherever they occur
    #: in payloads, results, signals and events; see ``sagas.define.redact``.
    REDACT: tuple[str, ...] = _REDACTED
    #: Links on a run's page by their text, such as ``{"trace": "https://…/{run_id}"}``; an address
    #: may leave open {run_id}, {saga} and {business_key}.
    LINKS: dict[str, Address] = Field(default_factory=dict)
    #: How many runs one batch takes at most.
    BATCH_LIMIT: int = Field(10_000, gt=0)
    #: How many of its items a batch does in a second, unless its operator says otherwise.
    BATCH_PER_SECOND: float = Field(20, ge=0.1, le=200)
    #: How many proxies of our own a request comes through, each of which adds the address that it
    #: was called from to ``X-Forwarded-For``. 0: that header is not looked at.
    TRUSTED_PROXIES: int = Field(0, ge=0)
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
