"""Where a run's messages go: envelopes, streams, delivery and the transports below it."""
