"""Delivery of messages from the town's thread to a destination: numbered, bounded, supervised, counted."""
