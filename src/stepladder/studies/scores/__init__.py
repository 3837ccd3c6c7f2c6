"""Scores that other programs made: found in tables and in the folders of runs, and judged as a study is."""
