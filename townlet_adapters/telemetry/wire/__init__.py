"""What both ends of a connection share: frames, signatures, TLS, addresses."""
