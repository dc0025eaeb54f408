"""Secrets: the exact text, whatever it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from app.core.settings.faults import Rejected
from app.core.settings.secret import Secret

from .kind import Kind


@dataclass(frozen=True)
class SecretText(Kind[Secret]):
    """Any text of at least `shortest` characters; '12345', 'true' and '@format x' stay what they are."""

    shortest: int = 1

    secret: ClassVar[bool] = True
    toml_type: ClassVar[str] = "a string; put it in quotes"

    @property
    def accepts(self) -> str:
        longer = f" of at least {self.shortest} characters" if self.shortest > 1 else ""
        return f"any text{longer} without NUL characters"

    def from_text(self, text: str) -> Secret:
        if "\0" in text:
            raise Rejected("the secret holds a NUL character")
        if text and len(text) < self.shortest:
            raise Rejected(f"the secret has {len(text)} characters, too few to be safe from guessing")
        return Secret(text)

    def holds_secret(self, value: Secret) -> bool:  # noqa: ARG002 - a secret always is one
        return True


@dataclass(frozen=True)
class OptionalSecret(SecretText):
    """A secret that need not be there; nothing stands for none."""

    takes_empty: ClassVar[bool] = True

    @property
    def accepts(self) -> str:
        return f"{super().accepts}, or nothing"

    def to_text(self, value: Secret) -> str:
        """Stars would say that there is one."""
        return str(value) if value else ""

    def holds_secret(self, value: Secret) -> bool:
        return bool(value)
