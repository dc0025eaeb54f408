"""What Hypercorn is told, and asks for with every answer."""

from __future__ import annotations

from time import time

from hypercorn.config import Config


class EngineConfig(Config):
    """Hypercorn's, whose headers for every answer are made once a second: all there is to them is the date."""

    _headers: tuple[int, list[tuple[bytes, bytes]]] = (0, [])

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        second = int(time())
        if second != self._headers[0]:
            self._headers = second, super().response_headers(protocol)
        return self._headers[1]
