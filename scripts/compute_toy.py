"""Compute the loss of logistic regression over the weight plane, hard and soft targets."""

from darkknowledge.landscape import toy_data, toy_surfaces, write_toy
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
data = toy_data(seed=1)
write_toy(snakemake.output.toy, data, toy_surfaces(data))
