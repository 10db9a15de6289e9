"""Whether a dataset is what it says: looks that a run takes before it begins, and `data check`."""
