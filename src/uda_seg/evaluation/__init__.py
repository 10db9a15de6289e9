"""From predictions to one confusion matrix, and from it to every score."""
