"""The OpenAPI 3.1 document, from the same declarations that the server holds requests to."""

from app.web.openapi.document import openapi_document

__all__ = ["openapi_document"]
