"""Text that must never be printed: `Secret` shows stars wherever a value would be shown."""

from __future__ import annotations

import hmac
from typing import NoReturn, final

MASK = "**********"


class Secret:
    """A text that only `reveal()` gives away.

    It compares in constant time and refuses to be pickled, copied to JSON or used as a plain string.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    @final
    def reveal(self) -> str:
        """The text itself; keep it out of names that a traceback or a log line would show."""
        return self.__text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self.__text), _bytes(other.reveal()))

    def __hash__(self) -> int:
        # Salted per process by Python, so it says nothing about the text outside of it.
        return hash((Secret, self.__text))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} does not travel: pickling or copying it would spread the text")


class SecretUrl(Secret):
    """A URL that may hold a password; it prints as the same URL with the password masked."""

    __slots__ = ("__shown",)

    def __init__(self, text: str, shown: str) -> None:
        """Keep `text`, and print `shown`, which holds no password."""
        super().__init__(text)
        self.__shown = shown

    def __str__(self) -> str:
        return self.__shown


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
