"""Records become documents: sentences, tables and curves."""
