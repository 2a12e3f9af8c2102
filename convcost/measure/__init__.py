"""Graphs as real PyTorch: building the network, and holding the figures against what it does."""
