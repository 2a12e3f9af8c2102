"""Documents become text: one module per output format."""
