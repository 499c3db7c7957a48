"""Confinement of a process by the operating system: Landlock, namespaces, and what they allow."""
