"""The command `forge-dispatch`: carries out one stage of a run, for workflow engines that start a process for each."""
