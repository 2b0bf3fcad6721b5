"""The edge: HAProxy's configuration and the agent that feeds it routes."""
