"""A coverage-guided fuzzer (atheris) for everything that reads what somebody else wrote."""
