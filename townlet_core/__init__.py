"""The core of Townlet: data, ports, events and the loop. Standard library only."""
