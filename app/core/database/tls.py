"""What `database.sslmode` means for asyncpg."""

from __future__ import annotations

import ssl

from app.core.settings.sections import SslMode


def tls(mode: SslMode) -> ssl.SSLContext | str | bool:
    """A context for every mode that insists; asyncpg's own fallback for `prefer`.

    asyncpg's strings would look for root certificates in the home folder, and fail without one. The system's
    store is used instead; a private authority is added to it with OpenSSL's own variable SSL_CERT_FILE.
    """
    if mode is SslMode.DISABLE:
        return False
    if mode is SslMode.PREFER:
        return "prefer"
    context = ssl.create_default_context()
    context.check_hostname = mode is SslMode.VERIFY_FULL
    if mode is SslMode.REQUIRE:
        context.verify_mode = ssl.CERT_NONE
    return context
