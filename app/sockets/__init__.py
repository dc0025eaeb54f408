"""The WebSocket edge. Connection, heartbeat, registry and fan-out live here."""
