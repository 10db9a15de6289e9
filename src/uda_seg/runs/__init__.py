"""What a run leaves behind: how it is written, judged, found again and continued."""
