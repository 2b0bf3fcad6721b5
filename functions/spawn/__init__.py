"""The spawn function: starts and stops servers, on messages and task events."""
