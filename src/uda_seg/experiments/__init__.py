"""Many runs: the rows of a table, the jobs of a sweep, and the processes they run in."""
