"""Hypothesis without its deadline of 200 ms for an example: that is what a busy machine takes, not what code does.

Loaded with the kit, before a test is imported: what a test says in `@settings(...)` is added to this.
"""

from __future__ import annotations

from hypothesis import settings

# The rest stays as it is: a CI has a profile of its own by default.
settings.register_profile("plinth", settings.default, deadline=None)
settings.load_profile("plinth")
