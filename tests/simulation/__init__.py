"""A hub in the cloud in simulated time: its own code, and around it what AWS does by itself."""
