"""Compute the loss of logistic regression over the weight plane, hard and soft targets."""

from darkknowledge.files import write_text
from darkknowledge.landscape import toy_data, toy_numbers, toy_surfaces, write_toy
from darkknowledge.progress import start_logging

start_logging(snakemake.log[0])
data = toy_data(seed=1)
surfaces = toy_surfaces(data)
write_toy(snakemake.output.toy, data, surfaces)
write_text(snakemake.output.numbers, toy_numbers(surfaces).to_csv(index=False, float_format="%.6g"))
