"""Segmentation networks and discriminators: weights only, no training."""
