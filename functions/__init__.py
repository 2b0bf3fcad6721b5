"""Entry points, one package each: what a request, a message or a schedule starts."""
