"""Static: the files that pages load, the client of the WebSockets among them."""

from app.feature import Feature
from app.features.static.routes import routes, versioned

feature = Feature(name="static", routes=(routes,))

__all__ = ["feature", "versioned"]
