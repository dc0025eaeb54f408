"""The addresses of identity, all under `/api/v1`."""

from app.features.identity.routes import (
    api_keys,
    auth,
    passwords,
    registration,
    resets,
    second_factor,
    sessions,
    tokens,
    users,
)

blueprints = (
    *(auth.routes, passwords.routes, tokens.routes, second_factor.routes),
    *(sessions.routes, api_keys.routes, users.routes),
    *(registration.routes, resets.routes),
)
