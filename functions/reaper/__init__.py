"""The reaper function: runs the sweep on a schedule."""
