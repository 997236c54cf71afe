"""Measurement: segmentation, asymmetry, border, colour, skin tone. Start at `measurer.Measurer`."""
