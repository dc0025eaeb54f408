"""What every answer tells a browser to refuse, whatever the answer is."""

from __future__ import annotations

import base64
import hashlib
import re

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from app.web.exchange import exchange_of

# For answers that are data: a browser that is made to show one loads and runs nothing (OWASP, REST security).
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

# OWASP Secure Headers and ASVS 5.0, 3.4; X-Frame-Options is for browsers older than `frame-ancestors`.
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
CONTENT_POLICY = b"content-security-policy"
STRICT_POLICY = (CONTENT_POLICY, DATA_POLICY.encode())
# Only over TLS, where browsers heed it: a year, as ASVS asks.
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class SecurityHeaders:
    """Adds them at the ASGI level, so that errors and timeouts carry them too."""

    def __init__(self, app: ASGIFramework) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        extra: tuple[tuple[bytes, bytes], ...] = ALWAYS
        if exchange_of(scope).scheme == "https":
            extra = (*ALWAYS, STRICT_TRANSPORT)

        async def safe(event: ASGISendEvent) -> None:
            if event["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = [*event["headers"]]
                # A page brings the policy that lets its own scripts run; anything else gets the strict one.
                if not any(name.lower() == CONTENT_POLICY for name, _ in headers):
                    headers.append(STRICT_POLICY)
                headers += extra
                event["headers"] = headers
            await send(event)

        await self.app(scope, receive, safe)


def page_policy(html: str) -> str:
    """The Content-Security-Policy of one page: its own inline scripts and styles, by their hashes, and this origin."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(["script-src 'self'", *hashes["script"]]),
            " ".join(["style-src 'self'", *hashes["style"]]),
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
