"""Networks beside each other: comparison of totals, and differences layer by layer."""
