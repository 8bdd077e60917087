"""What is proven of a graph: ranges, monotonicity, margin, vetoes, and the certificate."""
