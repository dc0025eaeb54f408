"""The app's own features beside one that only tests have."""

from __future__ import annotations

from dataclasses import replace

from app.bootstrap import FEATURES
from app.feature import Feature


def features_with(feature: Feature) -> tuple[Feature, ...]:
    """All of them; where the tests' own says who calls, the routes of the app's own way to sign in stay away.

    Only one feature may authenticate, and what another one's callers are would make no sense to those routes. The
    schedules of the app's own stay away, too: what they begin, at some minutes of the hour, is no part of a test.
    """
    own = [replace(each, schedules=()) for each in FEATURES]
    return (*(map(_without_signing_in, own) if feature.authenticate else own), feature)


def _without_signing_in(feature: Feature) -> Feature:
    return replace(feature, routes=(), authenticate=None, review=None) if feature.authenticate else feature
