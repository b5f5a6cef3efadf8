"""Many exports in one go, of a manifest or a family of sizes, in parallel, and going on after a kill."""
