"""What leaves a run: the record first, then results.json and .csv, summary.md, index.html, the table, failure texts."""
