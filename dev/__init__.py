"""Tools for working on the package; not part of it."""
