"""The addresses of identity, all under `/api/v1`."""

from app.features.identity.routes import api_keys, auth, passwords, second_factor, sessions, tokens, users

blueprints = (
    *(auth.routes, passwords.routes, tokens.routes, second_factor.routes),
    *(sessions.routes, api_keys.routes, users.routes),
)
