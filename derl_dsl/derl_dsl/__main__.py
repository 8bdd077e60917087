"""`python -m derl_dsl` is `derl-dsl`."""

from derl_dsl.cli.app import main

main()
