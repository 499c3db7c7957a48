"""``python -m genebench`` is ``genebench``."""

from genebench.cli import main

if __name__ == "__main__":
    main()
