"""What to do next, decided from what is known: no clock, no I/O."""
