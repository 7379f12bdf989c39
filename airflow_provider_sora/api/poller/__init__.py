"""Many waits, few requests: one loop polls for all who wait behind one connection."""
