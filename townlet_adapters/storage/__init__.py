"""What a run leaves on disk: its folder, its snapshots, its summary; each file whole or not at all."""
