"""What each port promises, asked of every adapter."""
