"""A ring of stalls where customers buy what is on their lists; nothing of it is known to Townlet's core."""
