"""A plan, carried out in one folder, and what its trials say."""
