"""Figures: heat maps and scatter plots, as SVG and PNG."""
