"""The spec language: a YAML file is parsed, expanded and built into a graph."""
