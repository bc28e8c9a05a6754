"""The town: its texts, its tables, its state and the rules over them."""
