"""E-mail addresses as people type them, and as one of them is stored."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from app.core.errors import ValidationFailed
from app.features.mail import is_address

LONGEST = 254  # what SMTP carries (RFC 5321, 4.5.3.1.3)

# For bodies: what can't be an address at all. Blanks around it are typed often, and meant never.
EmailField = Annotated[str, Meta(min_length=3, max_length=LONGEST, pattern=r"^\s*[^@\s]+@[^@\s]+\s*$")]


def address_of(text: str) -> str:
    """As it is stored: without blanks around it, in lower case. Raises `ValidationFailed` where no mail gets there."""
    address = text.strip().lower()  # which can make it longer
    if len(address) > LONGEST or not is_address(address):
        raise ValidationFailed({"email": ["is not an e-mail address"]})
    return address
