"""Scores of whole filters, each registered by name in a module of this package.

A score takes the weights of a convolution, [R, filters, ...], and returns [R, filters].
"""
