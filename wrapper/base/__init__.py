"""Basics that most folders use: clocks, files, processes, threads, shared memory, logs."""
