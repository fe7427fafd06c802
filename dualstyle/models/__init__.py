"""The networks: nn.Module only, no paths, no addresses, no device choice."""
