"""AWS Systems Manager: parameters and secrets."""
