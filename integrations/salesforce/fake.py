"""A Salesforce in memory."""

from __future__ import annotations

from integrations.fakes import HoldingFake
from integrations.salesforce.schemas import Deal, Opportunity


class FakeSalesforce(HoldingFake):
    """Keeps opportunities by their external id."""

    partner = "salesforce"
    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self.deals: dict[str, Deal] = {}
        """What each opportunity is about, by its id."""

    def create_opportunity(self, deal: Deal, reference: str, *, timeout: float) -> Opportunity:
        def do() -> Opportunity:
            made = self._found(Opportunity, reference, None)
            if made is None:
                made = Opportunity(id=self._new_id("006"), reference=reference)
                self._hold("opportunity_created", made, "", reference)
            self.deals[made.id] = deal
            return made

        return self._write("create_opportunity", do, key="", timeout=timeout, asked=reference)

    def find_opportunity(self, reference: str, *, timeout: float) -> Opportunity | None:
        return self._read(
            "find_opportunity",
            lambda: self._found(Opportunity, reference, None),
            timeout=timeout,
        )

    def delete_opportunity(self, opportunity_id: str, *, timeout: float) -> None:
        def do() -> None:
            self._undo("opportunity_deleted", opportunity_id, "")

        self._write("delete_opportunity", do, key="", timeout=timeout, asked=opportunity_id)
