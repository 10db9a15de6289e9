"""Sweepers and launchers, where alone Hydra looks for them. The work is done in uda_seg.sweeps."""
