"""Learn what DNA does from its sequence."""
