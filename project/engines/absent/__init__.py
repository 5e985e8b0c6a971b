"""What stands in for an engine that neither runs nor is named."""
