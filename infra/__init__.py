"""The deployment in AWS: CDK stacks. Of the product it imports the settings alone."""
