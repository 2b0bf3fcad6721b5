"""`hubless up`: a whole hub in one process tree on one machine."""
