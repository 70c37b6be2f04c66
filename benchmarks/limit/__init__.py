"""The floor of the possible: the core's matching algorithm in C, without the rules, on the same rows."""
