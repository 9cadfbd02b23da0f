"""The loss of trained networks around, between and on the way to their weights."""
