"""One folder a feature; a higher-ranked one may use a lower one by its front door."""
