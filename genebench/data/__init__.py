"""Data: from any file to profiles, through the published recipe."""
