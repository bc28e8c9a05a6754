"""The data that flows between the parts: frozen, slotted dataclasses; arrays are read-only memoryviews."""
