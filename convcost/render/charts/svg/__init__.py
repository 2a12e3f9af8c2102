"""Charts as SVG text without a browser: the same figures, drawn plainly, for Markdown, READMEs and notebooks."""
