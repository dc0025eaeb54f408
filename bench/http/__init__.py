"""What HTTP costs beside what users would pick instead, on equal work: `python -m bench.http`."""
