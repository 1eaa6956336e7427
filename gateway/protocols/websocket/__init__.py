"""What RFC 6455 says of frames: pure rules, no sockets."""
