"""What is over and may go."""

from __future__ import annotations

from app.features.identity.tables import jwt_tokens, password_resets, registrations, sessions
from app.tasks.sweeping import Sweep

EXPIRED_SESSIONS = Sweep(sessions, sessions.c.expires_at, name="sweep_sessions")

# Revoked ones are kept until they expire: that is how the reuse of an old one is noticed.
EXPIRED_JWT_TOKENS = Sweep(jwt_tokens, jwt_tokens.c.expires_at, name="sweep_jwt_tokens")

EXPIRED_REGISTRATIONS = Sweep(registrations, registrations.c.expires_at, name="sweep_registrations")
EXPIRED_RESETS = Sweep(password_resets, password_resets.c.expires_at, name="sweep_password_resets")
