"""What a run leaves on the disk: its folder, snapshots and summary; each file is whole or not there."""
