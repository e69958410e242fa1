"""The commands, one file each: options in, one call into the folders, words and a result out.

Each module has a function `command` and a string `EXAMPLE`; `snnergy.cli` puts them together. What is slow to
import is imported inside the function, so that `--help` answers at once.
"""
