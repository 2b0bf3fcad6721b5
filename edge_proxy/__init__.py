"""The edge: HAProxy, and the agent that keeps its routes up to date."""
