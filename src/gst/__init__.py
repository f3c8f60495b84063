"""Reproduces two studies of why pruning improves generalization.

The stability study is Bartoldson et al. 2020, the regularization study Jin et al. 2022.
"""

__version__ = "0.1.0"
