"""Text as Slack takes it: escaped by its rules, and no longer than people read."""

from __future__ import annotations

MAX_TEXT = 4000
"""Characters that Slack asks to stay within; it cuts at 40,000."""

_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str) -> str:
    """`text` so that none of it is a link, a mention of somebody or a command.

    Slack's page "Formatting text for app surfaces" has these three characters, and no others.
    """
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    return text.translate(_ESCAPED)


def quoted(reference: str) -> str:
    """`reference` as code, which people can copy and Slack leaves alone."""
    return f"`{plain(reference.replace('`', chr(39)))}`"
