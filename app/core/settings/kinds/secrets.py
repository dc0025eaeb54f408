"""Secrets: the exact text, whatever it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from app.core.settings.faults import Rejected
from app.core.settings.secret import Secret

from .kind import Kind


@dataclass(frozen=True)
class SecretText(Kind[Secret]):
    """Any text but none; '12345', 'true' and '@format x' stay what they are."""

    secret: ClassVar[bool] = True
    toml_type: ClassVar[str] = "a string; put it in quotes"

    @property
    def accepts(self) -> str:
        return "any text without NUL characters"

    def from_text(self, text: str) -> Secret:
        if "\0" in text:
            raise Rejected("the secret holds a NUL character")
        return Secret(text)

    def holds_secret(self, value: Secret) -> bool:  # noqa: ARG002 - a secret always is one
        return True
