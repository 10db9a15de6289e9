"""Tables, figures and pages, from what run folders hold."""
