"""Sealed execution: a method runs in a process that cannot reach what it is tested on."""

from genebench.sealing.confinement import capability

__all__ = ["capability"]
