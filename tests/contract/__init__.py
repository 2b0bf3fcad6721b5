"""The promises of each port, tested with every adapter."""
