"""Plugins: discovery, isolation of broken ones, and the registry of what they offer."""
