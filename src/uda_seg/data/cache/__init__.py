"""Samples and superpixels kept once they were made, and the check that they are there."""
