"""Stages between policy and world: guardrails, and the possession of a resident by a person."""
