"""SOURCE strings become graphs: shipped names, files, git revisions, model zoos, Python objects."""
