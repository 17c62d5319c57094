"""`python -m flairlite` is the command `flairlite`."""

from flairlite.cli import main

if __name__ == "__main__":
    main()
