"""Images, labels and maps as pictures: scaled, colored, captioned, side by side."""
