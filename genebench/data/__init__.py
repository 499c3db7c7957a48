"""Prepared datasets on disk, and the profiles that methods are given of them."""
