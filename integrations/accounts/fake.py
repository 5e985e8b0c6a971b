"""An accounts partner in memory."""

from __future__ import annotations

from collections.abc import Callable

from integrations.accounts.schemas import MAX_REFERENCE, Account
from integrations.fakes import Fake, Result


class FakeAccounts(Fake):
    """Makes, enables and deletes accounts. Their id is the reference; it remembers no keys."""

    partner = "accounts"
    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[str, Account] = {}
        self._addresses: dict[str, str] = {}
        self._created: dict[str, int] = {}

    def create(self, email: str, name: str, reference: str, *, timeout: float) -> Account:
        def do() -> Account:
            address = email.lower()
            if not 1 <= len(reference) <= MAX_REFERENCE:
                raise self.refusal("create", "this reference is no account's id")
            if reference in self._accounts:
                if self._addresses[reference] != address:
                    raise self.refusal("create", "DUPLICATE_LOCAL_ID")
                return self._accounts[reference]
            if address in self._addresses.values():
                raise self.refusal("create", "EMAIL_EXISTS")
            made = Account(id=reference, disabled=True)
            self._accounts[reference], self._addresses[reference] = made, address
            self._created[reference] = self._happened("account_created", reference, "", reference)
            return made

        return self._change("create", do, timeout)

    def enable(self, account_id: str, *, timeout: float) -> Account:
        def do() -> Account:
            there = self._accounts.get(account_id)
            if there is None:
                raise self.refusal("enable", "USER_NOT_FOUND")
            if there.disabled:
                self._accounts[account_id] = Account(id=account_id)
                self._happened("account_enabled", account_id, "", account_id)
            return self._accounts[account_id]

        return self._change("enable", do, timeout)

    def delete(self, account_id: str, *, timeout: float) -> None:
        def do() -> None:
            if self._accounts.pop(account_id, None) is not None:
                del self._addresses[account_id]
                created = self._created.pop(account_id)
                self._happened("account_deleted", account_id, "", account_id, undoes=created)

        self._change("delete", do, timeout)

    def find(self, reference: str, *, timeout: float) -> Account | None:
        return self._read("find", lambda: self._accounts.get(reference), timeout=timeout)

    def _change(self, operation: str, do: Callable[[], Result], timeout: float) -> Result:
        return self._write(operation, do, key="", timeout=timeout, asked="")
