"""``stepladder bench``: measurements on this machine, never timed tests."""
