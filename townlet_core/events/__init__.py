"""Facts, in the past tense: one frozen dataclass per kind."""
