"""From the words of a command line to a checked config, and to the verb that gets it."""
