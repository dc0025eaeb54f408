"""The only list of features, lowest rank first: importing it fills the metadata with every table."""

from __future__ import annotations

import app.core.queue.tables
import app.web.tables  # noqa: F401  (both fill the metadata)
from app.feature import Feature
from app.features import documentation, health, identity, mail, memberships, metrics, queue, realtime, static, welcome

FEATURES: tuple[Feature, ...] = (
    health.feature,
    metrics.feature,
    static.feature,
    documentation.feature,
    realtime.feature,
    queue.feature,
    mail.feature,
    identity.feature,
    memberships.feature,
    welcome.feature,
)
