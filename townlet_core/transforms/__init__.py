"""What may be done to messages on their way to one sink: pure functions, in the order of the config."""
