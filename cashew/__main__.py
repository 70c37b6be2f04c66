"""`python -m cashew` is the `cashew` command."""

from cashew.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
