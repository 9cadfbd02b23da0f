"""Compute the loss of logistic regression over the weight plane, hard and soft targets."""

from darkknowledge.jobs import start_job
from darkknowledge.landscape import toy_data, toy_surfaces, write_toy

start_job(snakemake)
data = toy_data(seed=1)
write_toy(snakemake.output.toy, data, toy_surfaces(data))
