"""The data types that modules exchange, such as events and actions: no decisions, no I/O."""
