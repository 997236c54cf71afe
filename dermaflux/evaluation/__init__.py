"""Judging sets of images and models: plain numbers in, reports out. It sees models through callables only."""
