"""`hubless up`: the same pieces in one process tree on one machine."""
