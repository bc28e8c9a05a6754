"""The policies we ship; each enters through the door, like anybody else's."""
