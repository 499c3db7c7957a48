"""Command line as a module: ``python -m genebench``."""

from genebench.cli import main

if __name__ == "__main__":
    main()
