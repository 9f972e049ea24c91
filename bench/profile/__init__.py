"""Where the gateway spends its time and its memory."""
