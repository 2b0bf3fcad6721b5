"""The web: REST API, pages and OAuth provider."""
