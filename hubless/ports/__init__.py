"""What the services need from outside, as Protocols; the promises stand here, the how in the adapters."""
