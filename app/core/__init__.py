"""The ground floor: settings, telemetry, database, Redis. Knows neither Quart nor any feature."""
