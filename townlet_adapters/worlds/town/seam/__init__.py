"""Where the town meets the rest: the world port, batches, events, hooks, commands, snapshots and views."""
