"""Compares networks: the totals of several (``compare.py``), and two layer by layer (``diff.py``)."""
