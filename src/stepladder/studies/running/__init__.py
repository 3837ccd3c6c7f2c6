"""How trials are carried out: by whom, for how long, seen by whom; and how test is read."""
