"""What people read about a night: the audience page for marketers and the short table in the terminal."""
