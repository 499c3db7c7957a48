"""Sealed execution: a method runs in a process that cannot reach what it is tested on."""
