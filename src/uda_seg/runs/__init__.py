"""What a run leaves behind, how it is written, and how a run is stopped."""
