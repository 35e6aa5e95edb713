"""From decisions to finished files: one small module per kind of channel, all behind `recsys.channels.base.Channel`."""
