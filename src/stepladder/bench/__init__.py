"""Measurements of Stepladder on the machine at hand; never part of the tests."""
