"""Servers as tasks of Amazon ECS on Fargate."""
