"""python -m swarmopt."""

from swarmopt.cli import main

main()
