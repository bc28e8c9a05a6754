"""What kernels work on: constants, state, and the tables that give their numbers a meaning."""
