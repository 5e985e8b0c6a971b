"""What our connectors and their partners agreed on, one file each, by the partner's name.

Mail is not here: SMTP is no HTTP, and Pact speaks nothing else that mail servers do.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.contract.agreements import (
    accounts,
    analytics,
    hubspot,
    inventory,
    payments,
    salesforce,
    shipping,
    slack,
)
from tests.contract.terms import Partner

_MODULES = (accounts, analytics, hubspot, inventory, payments, salesforce, shipping, slack)
PARTNERS: Mapping[str, Partner] = {module.PARTNER.name: module.PARTNER for module in _MODULES}
