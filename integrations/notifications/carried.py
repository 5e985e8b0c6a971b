"""What mail can carry: the same for every mail server, and for the fake."""

from __future__ import annotations


def obstacle(to: str, *texts: str) -> str:
    """Why no message to that address, or with these texts, can be handed over; empty: it can.

    A mailbox whose name is not ASCII needs SMTPUTF8 (RFC 6531), of the server and of all after it.
    Django would write such a name as an encoded word, which is another mailbox. A domain may be in
    any letters: it is written in ASCII (RFC 5891). No mail holds a NUL (RFC 5322).
    """
    if any("\0" in text for text in (to, *texts)):
        return "mail cannot hold a NUL"
    if not to.rpartition("@")[0].isascii():
        return "the mailbox's name has letters beyond ASCII, which mail servers do not take"
    return ""
