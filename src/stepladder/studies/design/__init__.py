"""What a study trains and what it is judged by, settled before its first trial."""
