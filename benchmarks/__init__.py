"""Measurements that we make of Stepladder, by ``python -m benchmarks``; the wheel does not carry them.

What users ask of their own machine is ``stepladder bench``.
"""
