"""A bakery for Townlet: hooks in ``plugin``, a village with a bakery in ``village``."""
