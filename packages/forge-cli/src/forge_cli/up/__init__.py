"""The embedded platform behind `forge up` (extra `up`): the same services as on a cluster, with adapters of one machine."""
