"""The scripted policy: options with controllers, chosen by fixed rules (domain.md, sections 17.1 to 17.3)."""
