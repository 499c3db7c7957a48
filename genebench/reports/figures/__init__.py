"""Figures in one style, as PDF, SVG and PNG, with their numbers as CSV."""
