"""A trained network in formats that need neither this package nor a config, and its card."""
