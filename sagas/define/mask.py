"""Free text made safe to keep: of what a step's code says, only harmless words are shown. Pure.

An error may quote anything: a payload, a partner's answer, a secret. What personal data looks like
cannot be listed, so what is harmless is: words in small letters, small numbers, names of the
definition, phrases of HTTP and of the operating system, and the word that begins a sentence of the
code's own. Of these not what follows the name of a redacted field, and no word of a value that is
redacted in the run's documents.
"""

from __future__ import annotations

import builtins
import errno
import os
import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from http import HTTPStatus
from types import CodeType, TracebackType

from sagas.define.redact import HIDDEN

_READ = 4_000  #: characters of a text that are read; the record keeps fewer
_OPENING, _CLOSING = "\u201c\u201e\u201f\xab\u2039\u201a", "\u201c\u201d\u201f\xbb\u203a"
_TOKEN = re.compile(
    rf"""(?P<quoted>(?<!\w)[bBrRuUfF]{{0,2}}(?P<quote>["'`]|\\["'])(?:.*?(?P=quote)(?!\w)|.*))
    | (?P<foreign>[{_OPENING}{_CLOSING}].*?(?:[{_OPENING}{_CLOSING}]|$))
    | (?P<chunk>[^\s"()\[\]{{}}<>,;{_OPENING}{_CLOSING}]+)
    | (?P<space>\s+)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_CORE = re.compile(
    r"(?P<before>[^\w+]*)(?P<core>.*?)(?P<after>[.:!?…'`*\u2013\u2014-]*)", re.DOTALL
)
_PAIR = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)(?P<sign>[=:])(?P<value>.+)", re.DOTALL)
_SMALL = re.compile(r"[^\W\d_]+(?:['\u2019_/-][^\W\d_]+)*")  # one word, or several joined by signs
_NUMBER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,2})?(?:%|ms|s|x)?")
_ERROR = re.compile(  # the name of an exception, by its ending
    r"(?:[a-z_]+\.)*[A-Z][A-Za-z]*(?:Error|Exception|Warning|Timeout|Refused|Unavailable|Unknown"
    r"|Invalid|Denied|Declined|Failed|NotFound|DoesNotExist|Conflict|Exceeded)"
)
_WORD = re.compile(r"\w+")
_LONGEST_WORD = 30
_LEAST = 3  # letters of a word that tells something


def masked_text(
    text: str,
    *,
    named: Callable[[str], bool] = lambda _: False,
    known: Collection[str] = frozenset(),
    code: Collection[str] = frozenset(),
    hidden: Collection[str] = frozenset(),
) -> str:
    """A text with a mark in place of each word that may be somebody's.

    Args:
        named: whether a field of that name is redacted: what follows such a name is masked.
        known: names that are harmless, such as those of steps, in quotes too.
        code: words that the code holds; see ``words_of``. With a capital letter one of them shows
            where it begins a sentence, in small letters also in quotes: so do names of attributes.
        hidden: words, in small letters, that are masked wherever they stand; see ``words_in``.
    """
    mask = _Mask(named, known, code, hidden)
    return re.sub(rf"{HIDDEN}(?:[\s.,:/@+-]*{HIDDEN})+", HIDDEN, "".join(mask(text[:_READ])))


def masked_error(error: BaseException) -> BaseException:
    """An error for a log: its class, its text masked, and where it was raised; so its causes."""
    return _stand_in(error, set())


def words_in(text: str) -> Iterator[str]:
    """The words of a value, in small letters, by which it is found in other texts."""
    return (word for word in _WORD.findall(text.casefold()) if len(word) >= _LEAST)


def words_of(code: CodeType | TracebackType | None) -> frozenset[str]:
    """The words that code holds: of a function, or of all that an error went through."""
    if isinstance(code, CodeType):
        return _constants(code)
    found: set[str] = set()
    while code is not None:
        found |= _constants(code.tb_frame.f_code)
        code = code.tb_next
    return frozenset(found)


class _Mask:
    """One pass over a text. It knows what came before: a number is told by its neighbours."""

    def __init__(
        self,
        named: Callable[[str], bool],
        known: Collection[str],
        code: Collection[str],
        hidden: Collection[str],
    ) -> None:
        self._named, self._known, self._code, self._hidden = named, known, code, hidden
        self._begins = True  # a sentence
        self._field = False  # the word before is the name of a redacted field ...
        self._follows = False  # ... or was, and a colon or the like stood behind it
        self._beside = False  # the word before is a number, a mark or such a name

    def __call__(self, text: str) -> Iterator[str]:
        tokens = list(_TOKEN.finditer(text))
        for place, found in enumerate(tokens):
            if found["chunk"] is None:
                yield self._other(found)
                continue
            yield self._chunk(found["chunk"], self._next(tokens, place))

    def _other(self, found: re.Match[str]) -> str:
        if found["quoted"] or found["foreign"]:
            return self._quoted(found[0])
        if found["sign"]:
            self._begins = found[0] in "([{"
            self._follows = self._follows and found[0] not in ",;)}]"
        return found[0]

    def _quoted(self, text: str) -> str:
        """What is quoted is a value, unless the code has a name for it."""
        core = text.lstrip("bBrRuUfF").strip(f"\\\"'`{_OPENING}{_CLOSING}")
        known = core in self._known or (core in self._code and core.isidentifier())
        shows = known and not core.istitle() and not self._tells(core) and not self._follows
        self._field = self._named(core)  # as in JSON, where a name is quoted too
        self._beside, self._begins = not shows or self._field, False
        return text if shows else HIDDEN

    def _chunk(self, chunk: str, following: str) -> str:
        parts = _CORE.fullmatch(chunk)
        assert parts is not None, "the pattern takes any text"
        before, core, after = parts["before"], parts["core"], parts["after"]
        if set(chunk) <= _SIGNS:
            self._follows = self._follows or (self._field and chunk[0] in ":=")
            return chunk
        if pair := _PAIR.fullmatch(core):
            return self._pair(pair)
        shows = not self._follows and self._harmless(core, following)
        self._field = self._named(core)
        self._follows = self._follows or (self._field and after.startswith(":"))
        self._beside = not shows or self._field or _NUMBER.fullmatch(core) is not None
        self._begins = after.endswith((".", ":", "!", "?"))
        return before + core + after if shows else HIDDEN + after

    def _pair(self, pair: re.Match[str]) -> str:
        """A name and a value in one word, as in ``status=402``."""
        name, value = pair["name"], pair["value"]
        self._field, self._beside, self._begins = False, True, False
        if self._follows or not self._harmless(name, ""):
            return HIDDEN
        number = _NUMBER.fullmatch(value) and not self._tells(value) and not self._named(name)
        return name + pair["sign"] + (value if number else HIDDEN)

    def _harmless(self, core: str, following: str) -> bool:
        if len(core) > _LONGEST_WORD or self._tells(core):
            return False
        if _NUMBER.fullmatch(core):
            return not self._beside and not _is_number(following)
        if _SMALL.fullmatch(core) and core.islower():
            return True
        if core in self._known or core in _PHRASES or _ERROR.fullmatch(core) is not None:
            return True
        goes_on = not following or following[0].islower()
        return self._begins and goes_on and core.isalpha() and core in self._code

    def _tells(self, core: str) -> bool:
        words = _WORD.findall(core.casefold())
        parts = [part for word in words for part in word.split("_")]
        return any(word in self._hidden for word in (*words, *parts))

    def _next(self, tokens: list[re.Match[str]], place: int) -> str:
        """The word after a space, which may show what a number belongs to."""
        rest = tokens[place + 1 : place + 3]
        if len(rest) == 2 and rest[0]["space"] and rest[1]["chunk"]:
            return rest[1]["chunk"]
        return ""


_SIGNS = set(".,:;!?…'`*\u2013\u2014-/|&=+#@→←•")


def _is_number(word: str) -> bool:
    """Whether a word is digits, or digits with signs: a part of a longer number."""
    return any(char.isdigit() for char in word) and not any(char.islower() for char in word)


def _phrases() -> Iterator[str]:
    yield from (status.phrase for status in HTTPStatus)
    yield from (os.strerror(code) for code in errno.errorcode)
    yield "HTTP HTTPS TLS SSL TCP DNS URL URI API JSON XML SQL CSV ID UTC OK EOF SKU CPU I A"
    yield "The It Its An In On At This That There They You If When No Not"
    yield "None True False Errno Nobody Nothing DETAIL HINT Key GET POST"
    yield "PUT PATCH DELETE Retry-After"


_PHRASES = frozenset(word.strip(".,()'") for text in _phrases() for word in text.split())


@lru_cache(maxsize=4096)
def _constants(code: CodeType) -> frozenset[str]:
    """Words of the texts in code, and of the functions that it defines."""
    found = {*code.co_names, *code.co_varnames, *vars(builtins)}
    for constant in code.co_consts:
        if isinstance(constant, str):
            found |= {word.strip(".,:;!?'\"()[]{}") for word in constant.split()}
        elif isinstance(constant, CodeType):
            found |= _constants(constant)
    return frozenset(found)


def _stand_in(error: BaseException, seen: set[int]) -> BaseException:
    """Another exception of that name: whoever prints it prints no more than is masked."""
    seen.add(id(error))
    kind = type(error)
    try:
        text = masked_text(str(error), code=words_of(error.__traceback__))
    except Exception:  # its own code that makes a text of it is broken
        text = ""
    made: BaseException = type(kind.__name__, (Exception,), {"__module__": kind.__module__})(text)
    made.__traceback__ = error.__traceback__
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    made.__suppress_context__ = True
    if cause is not None and id(cause) not in seen:
        made.__cause__ = _stand_in(cause, seen)
    return made
