"""The page of all tables and its plots, from results files: nothing on it is written by hand.

    python -m benchmarks.tables_page benchmarks/results/tables.json --fusion benchmarks/results/fusion.json \
    --systems benchmarks/results/table1.json --finetune benchmarks/results/finetune.json \
    --attention benchmarks/results/attention.json -o docs/tables.md

A section whose file is not named, or not there, is left out; of rows that were not run there is a dash. Sentences are
made of the figures too, so that none of them can outlive what it says.
"""
