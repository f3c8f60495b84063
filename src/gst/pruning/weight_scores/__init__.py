"""Scores of single weights, each registered by name in a module of this package.

A score takes weights [R, ...] and returns scores of the same shape; low scores are pruned.
"""
