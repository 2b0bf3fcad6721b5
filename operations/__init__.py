"""The commands for operators of a hub in AWS: checks before and after a deployment, costs, and the end of a stage."""
