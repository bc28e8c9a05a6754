"""Transports: each sends bytes to one kind of destination and knows nothing about events."""
