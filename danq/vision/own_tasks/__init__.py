"""Tasks on a user's own images, clips, texts, series and sounds."""
