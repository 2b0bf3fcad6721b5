"""What a hub in AWS costs a month, part by part."""
