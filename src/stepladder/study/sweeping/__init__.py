"""Many settings of one recipe, on a grid or proposed by a search, compared by validation alone."""
