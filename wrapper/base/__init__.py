"""What every folder above may use: clocks, files, processes, threads, shared memory, logs."""
