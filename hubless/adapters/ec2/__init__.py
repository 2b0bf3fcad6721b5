"""EC2: the machine of an edge that sleeps."""
