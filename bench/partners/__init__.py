"""What partners do to us when they fail, are slow or are overloaded, and what we do to them."""
