"""Checks convcost's figures against PyTorch and fvcore, layer by layer. ``validate.py`` is the entry point."""
