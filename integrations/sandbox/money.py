"""Which amounts Stripe takes: https://docs.stripe.com/currencies"""

from __future__ import annotations

from integrations.sandbox.intents import Invalid

LARGEST = 99_999_999
"""Eight digits of the smallest unit, whatever the currency."""

_ZERO_DECIMAL = (
    *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"),
    *("pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"),
)
_THREE_DECIMAL = ("bhd", "jod", "kwd", "omr", "tnd")
_SMALLEST = {
    **dict.fromkeys([*_ZERO_DECIMAL, *_THREE_DECIMAL], 1),
    **{"aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500},
    **{"dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50},
    **{"mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300},
    **{"sgd": 50, "thb": 1000, "usd": 50},
}
"""The currencies of the stand-in, and the smallest charge in each, in its smallest unit."""

CURRENCY = f"^({'|'.join(sorted(_SMALLEST))})$"
"""The pattern of a currency as it is shown; upper case is taken, too."""


def currency(text: str) -> str:
    """A currency as it is shown. Raises Invalid for one that is none."""
    lower = text.lower()
    if lower not in _SMALLEST:
        message = f"Invalid currency: {lower}. The sandbox supports {', '.join(sorted(_SMALLEST))}."
        raise Invalid("parameter_invalid", message, "currency")
    return lower


def check_charge(amount: int, code: str) -> None:
    """Refuse an amount that cannot be charged in a currency. Raises Invalid."""
    if amount > LARGEST:
        raise Invalid("amount_too_large", f"Amount must be no more than {LARGEST}.", "amount")
    if amount < _SMALLEST[code]:
        message = f"Amount must be at least {_SMALLEST[code]} in the smallest unit of {code}."
        raise Invalid("amount_too_small", message, "amount")
    check_parts(amount, code, "amount")


def check_parts(amount: int, code: str, param: str) -> None:
    """Refuse what cards cannot pay of three decimals: the last must be 0. Raises Invalid."""
    if code in _THREE_DECIMAL and amount % 10:
        message = f"Invalid amount in {code}: the least significant digit must be 0."
        raise Invalid("parameter_invalid_integer", message, param)
