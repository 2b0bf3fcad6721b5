"""Code of the custom resource that reserves concurrency."""
