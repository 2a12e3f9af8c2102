"""Converts a live PyTorch module to a graph by recording its forward pass on the meta device."""
