"""The command line: what a value may be, and what is wrong with one that cannot be used."""
