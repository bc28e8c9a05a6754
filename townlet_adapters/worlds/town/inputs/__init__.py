"""What a config says about a town: texts, files and maps, read and checked into a plan."""
