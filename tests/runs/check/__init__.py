"""Checks, against the sandbox."""
