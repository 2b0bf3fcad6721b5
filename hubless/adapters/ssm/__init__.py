"""What AWS Systems Manager keeps."""
