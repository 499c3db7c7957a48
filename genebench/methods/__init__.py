"""Built-in methods, and tools that methods share."""
