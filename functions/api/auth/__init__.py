"""Who sent a request, what they may do, and whether a page of ours made them send it."""
