"""`python -m constitutional` is the command line."""

from constitutional.cli import main

if __name__ == "__main__":
    main()
