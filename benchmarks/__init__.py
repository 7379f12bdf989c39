"""What moving videos and waiting for them costs, measured on loopback: `make benchmark-transfer` and others."""
