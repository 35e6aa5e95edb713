"""Is a shop ready for a night? A rehearsal on its own data that keeps nothing and sends nothing."""
