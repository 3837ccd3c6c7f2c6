"""Several studies of different image sets, judged together: what a technique does in general, and on a new set."""
