"""Welcome: what a browser meets first, until the pages feature takes these addresses over."""

from app.feature import Feature
from app.features.welcome.routes import routes

feature = Feature(name="welcome", routes=(routes,))

__all__ = ["feature"]
