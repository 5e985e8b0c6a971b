"""What our connectors and their partners agreed on, one file each, by the partner's name.

Mail is not here: SMTP is no HTTP, and Pact speaks nothing else that mail servers do.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.contract.agreements import inventory, payments, shipping
from tests.contract.agreements.terms import Partner

_MODULES = (inventory, payments, shipping)
PARTNERS: Mapping[str, Partner] = {module.PARTNER.name: module.PARTNER for module in _MODULES}
