// In a file of its own, as the page's policy lets no inline script run.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  // Nothing is sent to the public validator, to which the document would be none of its business.
  validatorUrl: null,
});
