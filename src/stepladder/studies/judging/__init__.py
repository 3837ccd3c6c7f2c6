"""What the trials of a study say, and what they cannot."""
