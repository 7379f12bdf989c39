"""What moving a video costs, measured on loopback: `make benchmark-transfer`."""
