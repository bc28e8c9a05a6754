"""Telemetry: envelopes, state streams, delivery and transports."""
