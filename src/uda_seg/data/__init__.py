"""From files, or from a drawing board, to batches."""
