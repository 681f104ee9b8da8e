"""What any part may stand on: clocks, files, processes, shared memory, logs."""
