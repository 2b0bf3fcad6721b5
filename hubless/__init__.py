"""The product: domain, ports, services, adapters and their composition; no HTTP here."""
