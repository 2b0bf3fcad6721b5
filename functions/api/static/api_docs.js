// Shows the OpenAPI document with Swagger UI, which swagger-ui-bundle.js defines.

const place = document.getElementById("swagger-ui");
const xsrf = document.querySelector("meta[name=xsrf]")?.content ?? "";

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  validatorUrl: null,
  deepLinking: true,
  requestInterceptor(request) {
    request.headers["X-XSRFToken"] = xsrf;
    return request;
  },
});
