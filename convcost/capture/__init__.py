"""A live PyTorch module becomes a graph: its forward pass is recorded on the meta device."""
