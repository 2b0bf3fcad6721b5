"""The trial: deploy a stage into a scratch account, use it, disturb it, remove it, and report what AWS answered."""
