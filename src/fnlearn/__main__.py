"""`python -m fnlearn`."""

from fnlearn.cli import main

if __name__ == "__main__":
    main()
