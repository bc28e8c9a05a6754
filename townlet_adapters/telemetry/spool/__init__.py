"""The durable outbox: what was committed to it survives the process, and leaves once the peer has it."""
