"""Documentation: the OpenAPI document, and the page that shows it."""

from app.feature import Feature
from app.features.documentation.routes import routes

feature = Feature(name="documentation", routes=(routes,))

__all__ = ["feature"]
