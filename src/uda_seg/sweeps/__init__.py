"""Many runs from one command line: grids, searches, and what is left of them on disk."""
