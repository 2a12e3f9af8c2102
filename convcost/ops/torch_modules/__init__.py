"""PyTorch modules for the ops that torch.nn has no module for."""
