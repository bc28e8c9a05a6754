"""Code that both ends of a connection use: frames, signatures, TLS, addresses."""
