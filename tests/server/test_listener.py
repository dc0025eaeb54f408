"""The listening socket: bound with a clear error, and named as a person would type it."""

from __future__ import annotations

import pytest

from app.server.listener import PortTaken, base_url, open_listener


def test_a_taken_port_is_named() -> None:
    with open_listener("127.0.0.1", 0, backlog=8) as first:
        port = first.getsockname()[1]

        with pytest.raises(PortTaken) as refused:
            open_listener("127.0.0.1", port, backlog=8)

    assert str(refused.value) == (
        f"127.0.0.1:{port} is in use by another program; `app doctor` says which, --port 0 takes any free one"
    )


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:8000: Cannot assign requested address"):
        open_listener("192.0.2.1", 8000, backlog=8)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")],
)
def test_the_url_is_one_that_can_be_typed(host: str, shown: str) -> None:
    with open_listener(host, 0, backlog=8) as listener:
        assert base_url(listener) == f"http://{shown}:{listener.getsockname()[1]}"
