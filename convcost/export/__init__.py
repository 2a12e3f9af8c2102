"""A graph becomes text: a spec that people read and change, or JSON for other programs."""
