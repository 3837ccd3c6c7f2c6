"""Trials on the machines of a Ray cluster: this process owns the folder of the study, nodes own scratch folders."""
