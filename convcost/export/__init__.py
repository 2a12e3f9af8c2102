"""Writes a graph as text: as a YAML spec that people can read and change, or as JSON for other programs.

A spec is written in steps: ``layers.py`` finds the fields of each layer, ``paths.py`` builds a tree of layers and boxes
(``tree.py``) from their names, ``joins.py`` finds residuals and branches, ``blocks.py``, ``keys.py`` and
``parameters.py`` find blocks that occur several times, ``spec_writer.py`` writes the layers, ``repeats.py`` shortens
repetitions, and ``yaml_text.py`` and ``spec_text.py`` format the file.
"""
