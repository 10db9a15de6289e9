"""Datasets as they lie on disk, one a file, and the classes that they share."""
