"""The intake at its desk: training of the bundle, its measures, its frozen sets."""
