"""The policies of a running gateway: from files and from the upstream's buckets."""
