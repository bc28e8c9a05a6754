"""The receiving end: authenticates, checks, stores, acknowledges, and reports what is missing."""
