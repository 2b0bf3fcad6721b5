"""The store of a hub in the cloud: one DynamoDB table, used by many functions at once. Its keys are in docs/dynamodb.md."""
