"""Stars for the secrets of the settings, wherever in a line they would stand.

Nothing logs one on purpose. This is the net below: a driver that puts its whole URL into an error, say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from urllib.parse import quote, unquote

from app.core.settings import Settings
from app.core.settings.secret import MASK, Secret, SecretUrl

# Shorter ones are words ("postgres") that lines are full of for other reasons.
SHORTEST = 8


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every secret text of the settings: passwords, keys, and the passwords inside URLs."""
    sections = (getattr(settings, field.name) for field in fields(settings))
    values = (getattr(section, each.name) for section in sections if is_dataclass(section) for each in fields(section))
    return frozenset(text for value in values if isinstance(value, Secret) for text in _texts(value) if text)


def _texts(value: Secret) -> Iterator[str]:
    text = value.reveal()
    if not isinstance(value, SecretUrl):
        yield text
        return
    userinfo = text.partition("://")[2].rpartition("@")[0]
    user, _, password = userinfo.partition(":")
    # A token is often written where the user belongs.
    yield password or user
    yield unquote(password or user)


class Redaction:
    """Takes known secrets out of rendered lines; a line without one costs a search for each."""

    def __init__(self, secrets: Iterable[str], *, written: Callable[[str], set[str]]) -> None:
        """`written` gives the forms of a text inside a line: JSON doubles a backslash, for one."""
        texts = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # The longest first, so that a secret which holds another one is replaced whole.
        self._forms = sorted({form for text in texts for form in written(text)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms)))

    def __call__(self, line: str) -> str:
        for form in self._forms:
            if form in line:
                return self._pattern.sub(MASK, line)
        return line


def _forms(secret: str) -> set[str]:
    """As it is, as part of a URL, and as `repr` shows it in an exception's message."""
    return {secret, quote(secret, safe=""), quote(secret), repr(secret)[1:-1]}
