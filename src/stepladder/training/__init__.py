"""Training one network: ``loop`` reads top to bottom, and what it uses lies beside it."""
