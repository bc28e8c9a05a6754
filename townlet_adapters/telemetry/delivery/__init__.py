"""From the town's thread to a destination: numbered, bounded, supervised, accounted for."""
