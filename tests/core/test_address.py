"""The address that a client on this machine can call."""

from __future__ import annotations

import pytest

from app.core.address import http_url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_a_listening_address_becomes_one_that_can_be_called(host: str, url: str) -> None:
    assert http_url(host, 8000) == url
