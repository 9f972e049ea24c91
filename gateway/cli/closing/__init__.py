"""The bucket policy that closes the way around the gateway: from the configuration to the bucket."""
