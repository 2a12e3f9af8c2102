"""The parts of gpu_suite.py: what is measured, how, where it is kept, and the page that is written from it."""
