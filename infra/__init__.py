"""The deployment: stacks of AWS's CDK. It shares the settings with the product, and nothing else."""
