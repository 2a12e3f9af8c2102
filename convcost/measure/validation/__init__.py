"""Static figures checked against PyTorch and fvcore."""
