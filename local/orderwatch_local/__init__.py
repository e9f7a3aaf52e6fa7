"""orderwatch on this machine: the simulated shop, the local cloud, the demo and the command line."""
