"""The larger parts that stacks are made of."""
