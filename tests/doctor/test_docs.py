"""docs/troubleshooting.md keeps up with the checks."""

from __future__ import annotations

import re

from app.core.settings import PROJECT_ROOT
from app.doctor import CHECKS, name_of

PAGE = (PROJECT_ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `([a-z-]+)`.*?\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_check_has_its_section_in_the_order_of_the_report() -> None:
    assert list(SECTIONS) == [name_of(check) for check in CHECKS]


def test_every_section_says_what_is_seen_why_and_what_to_type() -> None:
    lacking = [
        (name, part)
        for name, text in SECTIONS.items()
        for part in ("**You see**", "**Why**", "**Type**")
        if part not in text
    ]

    assert lacking == []
