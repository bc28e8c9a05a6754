"""The built-in policies, offered through the same plugin hooks as third-party policies."""
