"""What policies are trained on."""
