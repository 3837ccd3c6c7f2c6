"""How figures look, and those that belong to no section of a report."""
