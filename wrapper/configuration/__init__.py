"""What Prometheus reads: inputs, their two renderings, and what can be said of them."""
