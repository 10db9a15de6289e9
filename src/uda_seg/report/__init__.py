"""Tables, figures and pages, from `scores.json` alone."""
