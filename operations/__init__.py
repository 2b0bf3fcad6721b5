"""What an operator of a hub asks from a shell: before a deploy, after it, and what it costs."""
