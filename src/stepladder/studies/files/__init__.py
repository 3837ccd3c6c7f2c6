"""The folder of a study: what is saved, and how it is known to be what was saved."""
