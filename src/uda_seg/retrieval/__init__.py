"""Images of one domain looked up in the other: descriptors, rankings, what was found."""
