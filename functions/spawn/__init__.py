"""What starts and stops servers, on messages and events."""
