"""From datasets to the batches that a run trains on and the images it is scored on."""
