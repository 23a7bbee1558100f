"""The sandbox for users' code: a pool of confined worker processes that speak a dialect of Python."""
