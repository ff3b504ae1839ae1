"""What leaves a run: the record first, then results.json, results.csv, summary.md, the table and the failure text."""
