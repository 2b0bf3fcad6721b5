"""The store of a hub in AWS: one DynamoDB table, which many functions use at once. docs/dynamodb.md lists its keys."""
