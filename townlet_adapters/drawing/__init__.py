"""What is drawn of a town and where, made of plan and frames alone; terminals and pictures share it."""
