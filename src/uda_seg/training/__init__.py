"""The training loop, what happens beside its steps, and where its numbers go."""
