"""The terminal of a command that takes its time: what it finds, and how far it has come."""

from __future__ import annotations

from typing import Protocol

_CLEAR = "\r\x1b[K"  # to the line's start, and erase it


class Stream(Protocol):
    """What Django gives a command to write to."""

    def write(self, msg: str = "", style_func: None = None, ending: str | None = None) -> None: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


class Console:
    """Findings go to standard output at once; progress to standard error, if a person sees it."""

    def __init__(self, out: Stream, err: Stream) -> None:
        self._out, self._err = out, err
        self._shown = False

    def say(self, line: str) -> None:
        """Print a finding."""
        self.clear()
        self._out.write(line)

    def progress(self, text: str) -> None:
        """Show how far the command has come, in place of what was shown before."""
        if self._err.isatty():
            self._err.write(f"{_CLEAR}{text}", ending="")
            self._err.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the progress away."""
        if self._shown:
            self._err.write(_CLEAR, ending="")
            self._err.flush()
            self._shown = False
